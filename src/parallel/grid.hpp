// The shape of a process grid: pure arithmetic, no MPI, no BLACS.
#pragma once

#include <cstdint>

#include "parallel/index.hpp"

namespace ntk::parallel {

struct GridShape {
  int rows = 1;
  int columns = 1;
  int active() const { return rows * columns; }  // ranks in the grid; the others stay idle
  friend bool operator==(const GridShape&, const GridShape&) = default;
};

// The largest near-square grid (rows <= columns <= 2 rows, or 1 x 3) of at most `ranks` ranks; of
// equally large ones the squarest. Ranks are left idle rather than put on a long thin grid, where
// ScaLAPACK is slow and PDSYEVD runs into its small-block cases: 5 ranks give 2 x 2, 7 give 2 x 3,
// 10 and 11 give 3 x 3. Throws Error(internal) for ranks < 1.
GridShape choose_grid(int ranks);

// The same for a matrix of `order` rows: uses fewer ranks while blocks would be below 16 rows.
GridShape choose_grid(int ranks, std::int64_t order);

// Block side for a square matrix: at most order / (2 max(rows, columns)), so that every process
// holds at least two blocks in each direction, and within [1, largest].
std::int64_t choose_block(std::int64_t order, const GridShape& shape, std::int64_t largest = 64);

// Row-major coordinates of a rank; (-1, -1) for an idle one.
GridIndex grid_index(const GridShape& shape, int rank);

}  // namespace ntk::parallel
