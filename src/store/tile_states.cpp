#include "store/tile_states.hpp"

#include <algorithm>
#include <utility>

#include "parallel/collectives.hpp"

namespace ntk::store {

TileStates::TileStates(const KernelSpec& spec, bool all) : sum_row_(sum_row(spec.ranges)) {
  for (const auto& set : spec.sets) {
    tiles_.push_back(set.grid.tile_count());
    flags_.emplace_back(static_cast<std::size_t>(journal_rows(spec.ranges) * tiles_.back()),
                        all ? std::uint8_t{1} : std::uint8_t{0});
  }
}

void TileStates::put(int set, std::int64_t tile, int row, bool there) {
  flags_[static_cast<std::size_t>(set)][place(set, tile, row)] = there ? 1 : 0;
}

bool TileStates::has(const Unit& unit) const {
  return has(unit.set, unit.tile, unit.range) ||
         (sum_row_ >= 0 && has(unit.set, unit.tile, sum_row_));
}

void TileStates::put_all(int set, std::vector<std::uint8_t> states) {
  Flags& flags = flags_[static_cast<std::size_t>(set)];
  ensure(states.size() == flags.size(), "{} states for {} journal entries", states.size(),
         flags.size());
  flags = std::move(states);
}

void TileStates::unite(const parallel::Communicator& comm) {
  for (Flags& flags : flags_) {
    std::vector<int> wide(flags.begin(), flags.end());
    parallel::all_max(comm, wide);
    std::copy(wide.begin(), wide.end(), flags.begin());
  }
}

}  // namespace ntk::store
