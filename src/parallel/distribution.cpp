#include "parallel/distribution.hpp"

#include <algorithm>

#include "base/error.hpp"

namespace ntk::parallel {

Axis::Axis(std::int64_t size, std::int64_t block, int processes, int coordinate)
    : size_(size), block_(block), processes_(processes), coordinate_(coordinate) {
  ensure(size >= 0 && block >= 1 && processes >= 1 && coordinate >= -1 && coordinate < processes,
         "distribution of {} elements in blocks of {} over {} processes, seen from {}", size, block,
         processes, coordinate);
}

std::int64_t Axis::local_size(int coordinate) const {
  if (coordinate < 0) return 0;
  const std::int64_t whole = size_ / block_;  // complete blocks
  const std::int64_t rounds = whole / processes_, extra = whole % processes_;
  if (coordinate < extra) return (rounds + 1) * block_;
  return rounds * block_ + (coordinate == extra ? size_ % block_ : 0);
}

std::int64_t Axis::local_below(std::int64_t global) const {
  return Axis(global, block_, processes_, coordinate_).local_size();
}

std::int64_t Axis::local_blocks() const {
  return (local_size() + block_ - 1) / block_;
}

std::int64_t Axis::block_size(std::int64_t block) const {
  return std::clamp<std::int64_t>(size_ - block_start(block), 0, block_);
}

Distribution::Distribution(Extent size, Extent block, GridShape shape, GridIndex me)
    : rows_(size.row, block.row, shape.rows, static_cast<int>(me.row)),
      columns_(size.column, block.column, shape.columns, static_cast<int>(me.column)) {}

}  // namespace ntk::parallel
