#include "spectrum/block_cyclic.hpp"

#include <algorithm>
#include <limits>

#include "base/error.hpp"
#include "parallel/collectives.hpp"
#include "spectrum/scalapack.hpp"

namespace ntk::spectrum {

using parallel::Axis;
using parallel::GridShape;

namespace {

constexpr std::int64_t kInt = std::numeric_limits<int>::max();

// Smallest local side that the leading dimension may be.
int leading(std::int64_t rows) {
  return static_cast<int>(std::max<std::int64_t>(1, rows));
}

bool fits(std::int64_t order, std::int64_t block, GridShape shape, Work work) {
  const std::int64_t rows = Axis(order, block, shape.rows, 0).local_size();
  const std::int64_t columns = Axis(order, block, shape.columns, 0).local_size();
  if (order > kInt / 16 || columns > kInt / std::max<std::int64_t>(1, rows)) return false;
  return work != Work::vectors || padded_workspace(order, block, shape) <= kInt;
}

// The transpose of the part below (or right of) each diagonal block onto the other side, one block
// column at a time: the two parts do not overlap, so one matrix serves as source and target.
void mirror(BlockCyclicMatrix& a, bool from_lower) {
  const int order = static_cast<int>(a.rows()), block = static_cast<int>(a.block());
  const double one = 1, zero = 0;
  for (int start = 1; start <= order; start += block) {
    const int width = std::min(block, order - start + 1), next = start + width;
    const int rest = order - next + 1;
    if (rest < 1) break;
    if (from_lower) {
      pdtran_(&width, &rest, &one, a.data(), &next, &start, a.descriptor(), &zero, a.data(), &start,
              &next, a.descriptor());
    } else {
      pdtran_(&rest, &width, &one, a.data(), &start, &next, a.descriptor(), &zero, a.data(), &next,
              &start, a.descriptor());
    }
  }
  // Diagonal blocks lie on one process each.
  const auto& map = a.distribution();
  for (std::int64_t b = 0; b < map.rows().blocks(); ++b) {
    const parallel::GlobalElement corner = map.start(parallel::GlobalBlock{b, b});
    if (!map.mine(corner)) continue;
    const auto [i0, j0] = map.to_local(corner);
    const std::int64_t side = map.rows().block_size(b);
    for (std::int64_t j = 0; j < side; ++j) {
      for (std::int64_t i = j + 1; i < side; ++i) {
        double& lower = a.local(i0 + i, j0 + j);
        double& upper = a.local(i0 + j, j0 + i);
        (from_lower ? upper : lower) = from_lower ? lower : upper;
      }
    }
  }
}

}  // namespace

BlacsGrid::BlacsGrid(MPI_Comm comm, GridShape shape) : shape_(shape) {
  const auto all = parallel::Communicator::borrow(comm);
  ensure(shape.rows >= 1 && shape.columns >= 1 && shape.active() <= all.size(),
         "a {} x {} grid of {} ranks", shape.rows, shape.columns, all.size());
  me_ = parallel::grid_index(shape, all.rank());
  comm_ = all.split(me_.row < 0 ? -1 : 0);
  if (!active()) return;
  handle_ = Csys2blacs_handle(comm_);
  context_ = handle_;
  Cblacs_gridinit(&context_, "R", shape.rows, shape.columns);
  int rows = 0, columns = 0, row = -1, column = -1;
  Cblacs_gridinfo(context_, &rows, &columns, &row, &column);
  ensure(rows == shape.rows && columns == shape.columns && row == me_.row && column == me_.column,
         "BLACS placed rank {} at ({}, {}) of {} x {}", all.rank(), row, column, rows, columns);
}

BlacsGrid::~BlacsGrid() {
  if (!active()) return;
  Cblacs_gridexit(context_);
  Cfree_blacs_system_handle(handle_);
}

std::int64_t padded_workspace(std::int64_t order, std::int64_t block, GridShape shape) {
  const std::int64_t np = Axis(order, block, shape.rows, 0).local_size();
  const std::int64_t nq = Axis(order, block, shape.columns, 0).local_size();
  return 9 * order + 2 * np * nq + np * (block + nq) + (np + nq + block) * block + block * block;
}

void require_32bit(std::int64_t order, std::int64_t block, GridShape shape, Work work) {
  if (fits(order, block, shape, work)) return;
  if (work == Work::gpu_vectors) work = Work::vectors;  // more ranks cannot use the GPU
  constexpr int kMostRanks = 1 << 16;
  int enough = shape.active();
  while (enough < kMostRanks && !fits(order, block, parallel::choose_grid(enough), work)) ++enough;
  fail(ExitCode::resources,
       "a matrix of order {} does not fit a {} x {} process grid{} (ScaLAPACK counts in 32 bits) "
       "use {}{}",
       order, shape.rows, shape.columns, work == Work::vectors ? " with eigenvectors" : "",
       enough < kMostRanks ? fmt::format("at least {} ranks", enough) : "fewer samples",
       work == Work::vectors ? " or spectrum.method = \"leading\"" : "");
}

BlockCyclicMatrix::BlockCyclicMatrix(const BlacsGrid& grid, std::int64_t rows, std::int64_t columns,
                                     std::int64_t block)
    : grid_(&grid), distribution_({rows, columns}, {block, block}, grid.shape(), grid.me()) {
  const int lld = leading(local_rows());
  ensure(rows <= kInt && columns <= kInt && block <= kInt && local_columns() <= kInt / lld,
         "matrix {} x {} beyond 32-bit indices", rows, columns);
  descriptor_ = {1,
                 grid.context(),
                 static_cast<int>(rows),
                 static_cast<int>(columns),
                 static_cast<int>(block),
                 static_cast<int>(block),
                 0,
                 0,
                 lld};
  // At least one element, so that libraries never see a null pointer.
  local_.resize(std::max<std::size_t>(
      1, static_cast<std::size_t>(lld) * static_cast<std::size_t>(local_columns())));
}

void load_symmetric(BlockCyclicMatrix& a, const BlockSource& source) {
  ensure(a.rows() == a.columns(), "{} x {} is not square", a.rows(), a.columns());
  const auto& map = a.distribution();
  parallel::collectively(a.grid().comm(), [&] {
    std::vector<double> strip;
    for (std::int64_t lb = 0; lb < map.rows().local_blocks(); ++lb) {
      const std::int64_t b = map.rows().global_block(lb), start = map.rows().block_start(b);
      const std::int64_t height = map.rows().block_size(b), width = start + height;
      strip.resize(static_cast<std::size_t>(height * width));
      source(start, 0, height, width, strip.data());
      const std::int64_t columns = map.columns().local_below(width);
      for (std::int64_t j = 0; j < columns; ++j) {
        const double* from = strip.data() + map.columns().to_global(j);
        double* to = a.column(j) + lb * a.block();
        for (std::int64_t i = 0; i < height; ++i) to[i] = from[i * width];
      }
    }
  });
  mirror_lower(a);
}

void mirror_lower(BlockCyclicMatrix& a) {
  mirror(a, true);
}
void mirror_upper(BlockCyclicMatrix& a) {
  mirror(a, false);
}

namespace {

// Calls body(global index, local row, local column) for this process's diagonal elements.
template <class Matrix, class Body>
void each_diagonal(Matrix& a, Body&& body) {
  const auto& map = a.distribution();
  for (std::int64_t i = 0; i < a.local_rows(); ++i) {
    const std::int64_t r = map.rows().to_global(i);
    if (map.columns().mine(r)) body(r, i, map.columns().to_local(r));
  }
}

}  // namespace

std::vector<double> diagonal(const BlockCyclicMatrix& a) {
  std::vector<double> values(static_cast<std::size_t>(a.rows()), 0.0);
  each_diagonal(a, [&](std::int64_t r, std::int64_t i, std::int64_t j) {
    values[static_cast<std::size_t>(r)] = a.local(i, j);
  });
  parallel::all_sum(a.grid().comm(), values);
  return values;
}

void set_diagonal(BlockCyclicMatrix& a, const std::vector<double>& values) {
  each_diagonal(a, [&](std::int64_t r, std::int64_t i, std::int64_t j) {
    a.local(i, j) = values[static_cast<std::size_t>(r)];
  });
}

void scale(BlockCyclicMatrix& a, double factor) {
  for (std::int64_t j = 0; j < a.local_columns(); ++j) {
    double* column = a.column(j);
    for (std::int64_t i = 0; i < a.local_rows(); ++i) column[i] *= factor;
  }
}

std::vector<double> gather_rows(const BlockCyclicMatrix& a, std::int64_t row, std::int64_t rows,
                                std::int64_t columns) {
  const auto& map = a.distribution();
  std::vector<double> strip(static_cast<std::size_t>(rows * columns), 0.0);
  const std::int64_t first = map.rows().local_below(row), last = map.rows().local_below(row + rows);
  const std::int64_t width = map.columns().local_below(columns);
  for (std::int64_t j = 0; j < width; ++j) {
    const std::int64_t c = map.columns().to_global(j);
    for (std::int64_t i = first; i < last; ++i) {
      strip[static_cast<std::size_t>((map.rows().to_global(i) - row) * columns + c)] =
          a.local(i, j);
    }
  }
  parallel::sum_to(a.grid().comm(), strip);
  if (a.grid().comm().rank() != 0) strip.clear();
  return strip;
}

}  // namespace ntk::spectrum
