#include "store/tile_checks.hpp"

#include "base/log.hpp"
#include "parallel/collectives.hpp"

namespace ntk::store {

namespace {

constexpr std::int64_t damages_told = 10;

template <class Entries>
void check_entries(const parallel::Communicator& comm, const TileFile& file, const KernelSpec& spec,
                   TileStates& states, std::int64_t& damaged, Entries entries) {
  TileStates bad(spec);
  int turn = 0;
  parallel::collectively(comm, [&] {
    entries([&](int set, std::int64_t tile, int row) {
      if (!states.has(set, tile, row) || turn++ % comm.size() != comm.rank()) return;
      if (!file.intact(set, tile, row)) bad.put(set, tile, row);
    });
  });
  bad.unite(comm);
  parallel::collectively(comm, [&] {
    entries([&](int set, std::int64_t tile, int row) {
      if (!bad.has(set, tile, row)) return;
      ++damaged;
      states.put(set, tile, row, false);
      if (damaged <= damages_told)
        log::warn("tile {} of {} is damaged (its checksum differs) it will be made anew", tile,
                  matrices_path(spec.sets[static_cast<std::size_t>(set)].name));
      if (comm.rank() == 0) file.forget(set, tile, row);
    });
    if (damaged > damages_told) log::warn("{} tiles are damaged in all", damaged);
    file.sync();
  });
}

}  // namespace

std::int64_t check_journal(const parallel::Communicator& comm, const TileFile& file,
                           const KernelSpec& spec, TileStates& states) {
  std::int64_t damaged = 0;
  parallel::collectively(comm, [&] {
    for (int set = 0; set < static_cast<int>(spec.sets.size()); ++set)
      states.put_all(set, file.states(set));
  });
  const int sum = sum_row(spec.ranges);
  if (sum >= 0)
    check_entries(comm, file, spec, states, damaged, [&](auto visit) {
      for_tiles(spec, [&](int set, std::int64_t tile) { visit(set, tile, sum); });
    });
  check_entries(comm, file, spec, states, damaged, [&](auto visit) {
    for_tiles(spec, [&](int set, std::int64_t tile) {
      if (sum >= 0 && states.has(set, tile, sum)) return;
      for (int range = 0; range < spec.ranges; ++range) visit(set, tile, range);
    });
  });
  return damaged;
}

}  // namespace ntk::store
