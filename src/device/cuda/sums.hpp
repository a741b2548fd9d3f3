// Sums around cuBLAS's products.
#pragma once

#include <cstdint>

#include "device/backend.hpp"
#include "device/cuda/check.hpp"

namespace ntk::device::cuda {

// Tiles that are summed in one launch.
struct TileBatch {
  static constexpr int most = 256;
  double* data[most];
  int count;
  std::int64_t m, n, ld;
};

// tiles[b] (m x n of rows ld apart) += products[b] (m x n, contiguous).
template <class Real>
void add_to_tiles(cudaStream_t stream, const TileBatch& tiles, const Real* products);

// The end of structured contraction (kernels/structured.hpp) for a run of samples p against q:
// to[i * ld + j] += sum over their tokens of aa * gg, both (p.rows() x q.rows()); to_mirror[j * ld
// + i] too unless it is null. w: p.samples x q.rows() numbers of scratch.
template <class Real>
void sum_tokens(cudaStream_t stream, RaggedView p, RaggedView q, const Real* aa, const Real* gg,
                double* w, double* to, double* to_mirror, std::int64_t ld);

}  // namespace ntk::device::cuda
