// Two-dimensional block-cyclic distribution (ScaLAPACK's, first block on process (0, 0)) as a pure
// value: no MPI, so every map can be tested on one process.
//
//   from \ to        global element        local element            process
//   global element   -                     to_local                 owner
//   local element    to_global             -                        (this one)
//   global block     start                 Axis::local_block        Axis::block_owner
#pragma once

#include <cstdint>

#include "parallel/grid.hpp"
#include "parallel/index.hpp"

namespace ntk::parallel {

// One direction of the distribution, seen from process `coordinate` (-1 = outside: holds nothing).
class Axis {
 public:
  Axis() = default;
  // Throws Error(internal) for a negative size, block < 1, processes < 1, coordinate out of range.
  Axis(std::int64_t size, std::int64_t block, int processes, int coordinate);

  std::int64_t size() const { return size_; }
  std::int64_t block() const { return block_; }
  int processes() const { return processes_; }
  int coordinate() const { return coordinate_; }

  int owner(std::int64_t global) const { return block_owner(global / block_); }
  bool mine(std::int64_t global) const { return owner(global) == coordinate_; }
  // Position of a global index in its owner's local storage.
  std::int64_t to_local(std::int64_t global) const {
    return local_block(global / block_) * block_ + global % block_;
  }
  // Global index of this process's local index.
  std::int64_t to_global(std::int64_t local) const {
    return global_block(local / block_) * block_ + local % block_;
  }
  // Elements that this process, or the one at `coordinate`, holds (NUMROC).
  std::int64_t local_size() const { return local_size(coordinate_); }
  std::int64_t local_size(int coordinate) const;
  // Number of this process's elements with a global index below `global`.
  std::int64_t local_below(std::int64_t global) const;

  std::int64_t blocks() const { return (size_ + block_ - 1) / block_; }
  std::int64_t local_blocks() const;
  int block_owner(std::int64_t block) const { return static_cast<int>(block % processes_); }
  std::int64_t local_block(std::int64_t block) const { return block / processes_; }
  std::int64_t global_block(std::int64_t local) const { return local * processes_ + coordinate_; }
  std::int64_t block_start(std::int64_t block) const { return block * block_; }
  std::int64_t block_size(std::int64_t block) const;

  friend bool operator==(const Axis&, const Axis&) = default;

 private:
  std::int64_t size_ = 0;
  std::int64_t block_ = 1;
  int processes_ = 1;
  int coordinate_ = 0;
};

class Distribution {
 public:
  Distribution() = default;
  Distribution(Extent size, Extent block, GridShape shape, GridIndex me);

  const Axis& rows() const { return rows_; }
  const Axis& columns() const { return columns_; }
  Extent size() const { return {rows_.size(), columns_.size()}; }
  Extent block() const { return {rows_.block(), columns_.block()}; }
  Extent local_size() const { return {rows_.local_size(), columns_.local_size()}; }
  // Largest local extent over the grid, which process (0, 0) has.
  Extent largest_local_size() const { return {rows_.local_size(0), columns_.local_size(0)}; }

  GridIndex owner(GlobalElement e) const { return {rows_.owner(e.row), columns_.owner(e.column)}; }
  GridIndex owner(GlobalBlock b) const {
    return {rows_.block_owner(b.row), columns_.block_owner(b.column)};
  }
  bool mine(GlobalElement e) const { return rows_.mine(e.row) && columns_.mine(e.column); }
  LocalElement to_local(GlobalElement e) const {
    return {rows_.to_local(e.row), columns_.to_local(e.column)};
  }
  GlobalElement to_global(LocalElement e) const {
    return {rows_.to_global(e.row), columns_.to_global(e.column)};
  }
  LocalBlock to_local(GlobalBlock b) const {
    return {rows_.local_block(b.row), columns_.local_block(b.column)};
  }
  GlobalBlock to_global(LocalBlock b) const {
    return {rows_.global_block(b.row), columns_.global_block(b.column)};
  }
  GlobalElement start(GlobalBlock b) const {
    return {rows_.block_start(b.row), columns_.block_start(b.column)};
  }
  Extent block_size(GlobalBlock b) const {
    return {rows_.block_size(b.row), columns_.block_size(b.column)};
  }

  friend bool operator==(const Distribution&, const Distribution&) = default;

 private:
  Axis rows_, columns_;
};

}  // namespace ntk::parallel
