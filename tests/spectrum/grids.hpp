// Every distributed test runs on all of these grids: with six ranks 3 x 2 and 2 x 3, and the ranks
// split into 3 x 1, 1 x 2 and 1 x 1 at the same time; with fewer ranks both orientations, and a
// single process with the others idle.
#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "parallel/mpi.hpp"
#include "spectrum/block_cyclic.hpp"

namespace ntk::spectrum::testing {

// Calls body(grid) on the ranks that are active in it.
template <class Body>
void on_all_grids(Body&& body) {
  using parallel::GridShape;
  const auto world = parallel::Communicator::borrow(MPI_COMM_WORLD);
  const auto run = [&](MPI_Comm comm, GridShape shape) {
    const BlacsGrid grid(comm, shape);
    if (!grid.active()) return;
    SCOPED_TRACE(fmt::format("grid {} x {}", shape.rows, shape.columns));
    body(grid);
  };
  const GridShape shape = parallel::choose_grid(world.size());
  run(world, shape);
  if (shape.rows != shape.columns) run(world, {shape.columns, shape.rows});
  if (world.size() == 6) {
    const int colour = world.rank() < 3 ? 0 : world.rank() < 5 ? 1 : 2;
    const parallel::Communicator part = world.split(colour);
    run(part, colour == 0 ? GridShape{3, 1} : colour == 1 ? GridShape{1, 2} : GridShape{1, 1});
  } else if (world.size() > 1) {
    run(world, {1, world.size()});
    run(world, {1, 1});
  }
}

inline double number(std::int64_t i) {
  return static_cast<double>(i);
}

// A matrix from a formula of its global indices.
using Formula = std::function<double(std::int64_t, std::int64_t)>;

inline BlockSource source(const Formula& formula) {
  return [formula](std::int64_t row, std::int64_t column, std::int64_t rows, std::int64_t columns,
                   double* out) {
    for (std::int64_t i = 0; i < rows; ++i) {
      for (std::int64_t j = 0; j < columns; ++j) *out++ = formula(row + i, column + j);
    }
  };
}

inline BlockCyclicMatrix make(const BlacsGrid& grid, std::int64_t n, std::int64_t block,
                              const Formula& formula) {
  BlockCyclicMatrix a(grid, n, n, block);
  load_symmetric(a, source(formula));
  return a;
}

}  // namespace ntk::spectrum::testing
