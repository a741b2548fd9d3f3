// The distributed dense matrix that this program owns (decision 10 of docs/architecture.md):
// column-major block-cyclic local storage with a ScaLAPACK descriptor. ScaLAPACK and SLEPc work on
// it through adaptors; neither allocates it.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "parallel/distribution.hpp"
#include "parallel/mpi.hpp"

namespace ntk::spectrum {

// A BLACS context over the first shape.active() ranks of a communicator (row-major). Ranks beyond
// them are idle: they must not call anything collective on the grid. Construction is collective
// over the whole communicator; it is borrowed and must outlive the grid.
class BlacsGrid {
 public:
  BlacsGrid(MPI_Comm comm, parallel::GridShape shape);
  ~BlacsGrid();
  BlacsGrid(const BlacsGrid&) = delete;
  BlacsGrid& operator=(const BlacsGrid&) = delete;

  bool active() const { return static_cast<bool>(comm_); }
  int context() const { return context_; }
  const parallel::GridShape& shape() const { return shape_; }
  const parallel::GridIndex& me() const { return me_; }
  const parallel::Communicator& comm() const { return comm_; }  // the active ranks

 private:
  parallel::Communicator comm_;
  parallel::GridShape shape_;
  parallel::GridIndex me_;
  int handle_ = -1;
  int context_ = -1;
};

// What a solve needs of 32-bit integers, checked before anything is allocated. Vectors from a GPU
// need no workspace of ScaLAPACK's; for values alone it makes no difference where they come from.
enum class Work { values, vectors, gpu_vectors, leading };

// Throws Error(resources), naming the number of ranks that would do, when a square matrix of
// `order` in blocks of `block` on `shape` breaks a 32-bit limit: 2^31 local elements, or for
// Work::vectors 2^31 workspace elements (PDSYEVD's LWORK). Same answer on every rank.
void require_32bit(std::int64_t order, std::int64_t block, parallel::GridShape shape, Work work);

// Largest PDSYEVD workspace of any process, in doubles: the amount below which the library of
// today can hang for small matrices (Reference-ScaLAPACK issue 74), whatever its own query says.
// 9n + 2 np nq + np (nb + nq) + (np + nq + nb) nb + nb^2, np x nq the largest local size.
std::int64_t padded_workspace(std::int64_t order, std::int64_t block, parallel::GridShape shape);

class BlockCyclicMatrix {
 public:
  BlockCyclicMatrix() = default;
  // Zeros. Square blocks. `grid` must outlive the matrix. May throw std::bad_alloc.
  BlockCyclicMatrix(const BlacsGrid& grid, std::int64_t rows, std::int64_t columns,
                    std::int64_t block);

  const BlacsGrid& grid() const { return *grid_; }
  const parallel::Distribution& distribution() const { return distribution_; }
  std::int64_t rows() const { return distribution_.rows().size(); }
  std::int64_t columns() const { return distribution_.columns().size(); }
  std::int64_t block() const { return distribution_.rows().block(); }
  std::int64_t local_rows() const { return distribution_.rows().local_size(); }
  std::int64_t local_columns() const { return distribution_.columns().local_size(); }
  const int* descriptor() const { return descriptor_.data(); }
  int leading_dimension() const { return descriptor_[8]; }
  double* data() { return local_.data(); }
  const double* data() const { return local_.data(); }
  double& local(std::int64_t i, std::int64_t j) { return column(j)[i]; }
  double local(std::int64_t i, std::int64_t j) const { return column(j)[i]; }
  double* column(std::int64_t j) { return local_.data() + j * leading_dimension(); }
  const double* column(std::int64_t j) const { return local_.data() + j * leading_dimension(); }

 private:
  const BlacsGrid* grid_ = nullptr;
  parallel::Distribution distribution_;
  std::array<int, 9> descriptor_{};
  std::vector<double> local_;
};

// Fills `out` (row-major) with rows [row, row + rows) x columns [column, column + columns) of the
// matrix: a kernel file, or a formula in tests.
using BlockSource = std::function<void(std::int64_t row, std::int64_t column, std::int64_t rows,
                                       std::int64_t columns, double* out)>;

// Collective. Fills a square symmetric matrix from the lower triangle of `source`. Each process
// reads, for one block row it owns at a time, the strip from column 0 to the diagonal block (at
// most block x n numbers in memory); so every number of the triangle is read once a process
// column. A failing read on any rank becomes an AgreedError on all.
void load_symmetric(BlockCyclicMatrix& a, const BlockSource& source);

// Collective. Copies the strict lower triangle onto the upper one, or the other way round.
void mirror_lower(BlockCyclicMatrix& a);
void mirror_upper(BlockCyclicMatrix& a);

// Diagonal on every rank, and back. Collective; the matrix is square.
std::vector<double> diagonal(const BlockCyclicMatrix& a);
void set_diagonal(BlockCyclicMatrix& a, const std::vector<double>& values);

void scale(BlockCyclicMatrix& a, double factor);  // local

// Rows [row, row + rows) of columns [0, columns), row-major, on rank 0 of the grid; empty
// elsewhere. Collective.
std::vector<double> gather_rows(const BlockCyclicMatrix& a, std::int64_t row, std::int64_t rows,
                                std::int64_t columns);

}  // namespace ntk::spectrum
