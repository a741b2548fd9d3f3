// Which entries of a kernel file's journals are set, in memory. An entry is a tile in one row of
// its set's journal: a range of segments, or the sum over the ranges (store/kernel_layout.hpp).
#pragma once

#include <cstdint>
#include <vector>

#include "parallel/mpi.hpp"
#include "store/kernel_layout.hpp"

namespace ntk::store {

class TileStates {
 public:
  // Entries for every tile of `spec`, all set or none.
  explicit TileStates(const KernelSpec& spec, bool all = false);

  bool has(int set, std::int64_t tile, int row) const {
    return flags_of(set)[place(set, tile, row)];
  }
  void put(int set, std::int64_t tile, int row, bool there = true);
  // Whether a unit is there: it counts so also when the sum over its tile's ranges is.
  bool has(const Unit& unit) const;
  // Takes the states of a journal as read from its file, (journal rows, tiles).
  void put_all(int set, std::vector<std::uint8_t> states);

  // Collective: an entry that any rank has becomes everyone's.
  void unite(const parallel::Communicator& comm);

 private:
  using Flags = std::vector<std::uint8_t>;  // [journal row * tiles + tile]
  std::size_t place(int set, std::int64_t tile, int row) const {
    return static_cast<std::size_t>(row * tiles_[static_cast<std::size_t>(set)] + tile);
  }
  const Flags& flags_of(int set) const { return flags_[static_cast<std::size_t>(set)]; }

  std::vector<std::int64_t> tiles_;  // [set]
  std::vector<Flags> flags_;         // [set]
  int sum_row_;
};

// Calls visit(set, tile) for every tile.
template <class Visit>
void for_tiles(const KernelSpec& spec, Visit visit) {
  for (int set = 0; set < static_cast<int>(spec.sets.size()); ++set) {
    const std::int64_t tiles = spec.sets[static_cast<std::size_t>(set)].grid.tile_count();
    for (std::int64_t tile = 0; tile < tiles; ++tile) visit(set, tile);
  }
}

// Calls visit(unit) for every unit.
template <class Visit>
void for_units(const KernelSpec& spec, Visit visit) {
  for_tiles(spec, [&](int set, std::int64_t tile) {
    for (int range = 0; range < spec.ranges; ++range) visit(Unit{set, tile, range});
  });
}

}  // namespace ntk::store
