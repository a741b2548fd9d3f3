#include "parallel/grid.hpp"

#include <algorithm>

#include "base/error.hpp"

namespace ntk::parallel {

GridShape choose_grid(int ranks) {
  ensure(ranks >= 1, "a grid of {} ranks", ranks);
  GridShape best;
  for (int rows = 1; rows * rows <= ranks; ++rows) {
    // From the flattest allowed shape down; a later equally large one is squarer.
    const int columns = std::min(ranks / rows, std::max(2 * rows, 3));
    if (rows * columns >= best.active()) best = {rows, columns};
  }
  return best;
}

GridShape choose_grid(int ranks, std::int64_t order) {
  constexpr std::int64_t kSmallestBlock = 16;
  const std::int64_t side = std::max<std::int64_t>(1, order / (2 * kSmallestBlock));
  GridShape shape = choose_grid(ranks);
  // A near-square grid of at most side^2 ranks may still have one side too long: step down.
  int limit = side >= ranks ? ranks : static_cast<int>(std::min<std::int64_t>(ranks, side * side));
  while (std::max(shape.rows, shape.columns) > side) shape = choose_grid(limit--);
  return shape;
}

std::int64_t choose_block(std::int64_t order, const GridShape& shape, std::int64_t largest) {
  return std::clamp<std::int64_t>(order / (2 * std::max(shape.rows, shape.columns)), 1, largest);
}

GridIndex grid_index(const GridShape& shape, int rank) {
  if (rank < 0 || rank >= shape.active()) return {-1, -1};
  return {rank / shape.columns, rank % shape.columns};
}

}  // namespace ntk::parallel
