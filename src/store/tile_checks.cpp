#include "store/tile_checks.hpp"

#include "base/log.hpp"
#include "base/stopwatch.hpp"
#include "parallel/collectives.hpp"
#include "store/run_files.hpp"

namespace ntk::store {

namespace {

constexpr std::size_t damages_told = 10;
constexpr const char* other_checksum = "its checksum differs";
constexpr const char* made_anew = "it will be made anew";

}  // namespace

void Damages::add(const std::string& line) {
  ++count_;
  if (lines_.size() < damages_told) lines_.push_back(line);
}

void Damages::add(std::int64_t tile, const std::vector<std::string>& datasets,
                  const std::string& why, const std::string& consequence) {
  add(fmt::format("tile {} of {} is damaged ({}) {}", tile, fmt::join(datasets, ", "), why,
                  consequence));
}

std::int64_t Damages::tell(const parallel::Communicator& comm) const {
  const std::int64_t all = parallel::all_sum(comm, count_);
  if (all == 0) return 0;
  std::size_t told = 0;
  for (const auto& text : parallel::gather(comm, nlohmann::json(lines_).dump()))
    for (const std::string line : nlohmann::json::parse(text))
      if (told++ < damages_told) log::warn("{}", line);
  if (all > static_cast<std::int64_t>(damages_told)) log::warn("{} tiles are damaged in all", all);
  return all;
}

void add_up_ranks(const parallel::Communicator& comm, Checked& checked) {
  checked.entries = parallel::all_sum(comm, checked.entries);
  checked.bytes = parallel::all_sum(comm, checked.bytes);
  checked.seconds = parallel::all_max(comm, checked.seconds);
}

namespace {

// The entries that `entries` visits and `states` has.
template <class Entries>
void check_entries(const parallel::Communicator& comm, const TileFile& file, const KernelSpec& spec,
                   TileStates& states, Checked& checked, Entries entries) {
  TileStates bad(spec);
  Damages damages;
  int turn = 0;
  parallel::collectively(comm, [&] {
    entries([&](int set, std::int64_t tile, int row) {
      if (!states.has(set, tile, row) || turn++ % comm.size() != comm.rank()) return;
      ++checked.entries;
      checked.bytes += static_cast<double>(file.bytes(set, tile, row));
      const auto datasets = file.damaged(set, tile, row, file.read(set, tile, row));
      if (datasets.empty()) return;
      bad.put(set, tile, row);
      damages.add(tile, datasets, other_checksum, made_anew);
    });
  });
  bad.unite(comm);
  checked.damaged += damages.tell(comm);
  parallel::collectively(comm, [&] {
    entries([&](int set, std::int64_t tile, int row) {
      if (!bad.has(set, tile, row)) return;
      states.put(set, tile, row, false);
      if (comm.rank() == 0) file.forget(set, tile, row);
    });
    file.sync();
  });
}

// Of the training kernel, before its upper triangle is read.
bool is_mirrored(const std::string& path) {
  const h5::Handle file = h5::open_file(path);
  return h5::read_attribute(h5::open_object(file, matrices_path("") + "/total"), "triangle") ==
         "full";
}

void read_states(const TileFile& file, const KernelSpec& spec, TileStates& states) {
  for (int set = 0; set < static_cast<int>(spec.sets.size()); ++set)
    states.put_all(set, file.states(set));
}

}  // namespace

Checked check_journal(const parallel::Communicator& comm, const std::string& path,
                      const TileFile& file, const KernelSpec& spec, TileStates& states) {
  Checked checked{path};
  {
    Stopwatch watch(checked.seconds);
    parallel::collectively(comm, [&] { read_states(file, spec, states); });
    const int sum = sum_row(spec.ranges);
    if (sum >= 0)
      check_entries(comm, file, spec, states, checked, [&](auto visit) {
        for_tiles(spec, [&](int set, std::int64_t tile) { visit(set, tile, sum); });
      });
    check_entries(comm, file, spec, states, checked, [&](auto visit) {
      for_tiles(spec, [&](int set, std::int64_t tile) {
        if (sum >= 0 && states.has(set, tile, sum)) return;
        for (int range = 0; range < spec.ranges; ++range) visit(set, tile, range);
      });
    });
  }
  add_up_ranks(comm, checked);
  return checked;
}

Checked check_complete(MPI_Comm mpi, const std::string& directory, const KernelSpec& spec,
                       const FileRequest& request) {
  const auto comm = parallel::Communicator::borrow(mpi);
  Checked checked{FileNames(directory, request.name).complete};
  Damages damages;
  {
    Stopwatch watch(checked.seconds);
    parallel::collectively(comm, [&] {
      if (comm.rank() == 0) {
        for (const auto& dataset : altered_datasets(h5::open_file(checked.path), spec))
          damages.add(fmt::format("{} is damaged (it differs from what the job's data say) {}",
                                  dataset, made_anew));
      }
      const TileFile file(checked.path, spec);
      TileStates states(spec);
      read_states(file, spec, states);
      const TileStates wanted = wanted_of(spec, request);
      const bool mirrored = is_mirrored(checked.path);
      const int sum = sum_row(spec.ranges);
      std::int64_t turn = 0;
      const auto look = [&](int set, std::int64_t tile, int row) {
        ++checked.entries;
        checked.bytes += static_cast<double>(file.bytes(set, tile, row));
        const auto datasets = file.damaged(set, tile, row, file.read(set, tile, row));
        if (!datasets.empty()) damages.add(tile, datasets, other_checksum, made_anew);
        return datasets.empty();
      };
      for_tiles(spec, [&](int set, std::int64_t tile) {
        if (turn++ % comm.size() != comm.rank()) return;
        if (sum >= 0 && states.has(set, tile, sum)) {
          if (!look(set, tile, sum)) return;
        } else {
          for (int range = 0; range < spec.ranges; ++range) {
            if (!wanted.has(set, tile, range)) continue;
            if (!states.has(set, tile, range))
              damages.add(tile, {matrices_path(spec.sets[static_cast<std::size_t>(set)].name)},
                          "its journal does not have it", made_anew);
            else if (!look(set, tile, range))
              return;
          }
        }
        if (set != 0 || !mirrored) return;
        const auto datasets = file.wrongly_mirrored(tile);
        if (!datasets.empty())
          damages.add(tile, datasets, "the upper triangle differs from the lower one", made_anew);
      });
    });
  }
  checked.damaged = damages.tell(comm);
  add_up_ranks(comm, checked);
  return checked;
}

}  // namespace ntk::store
