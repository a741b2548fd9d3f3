// The shapes in which kernels run: one thread, or one warp, an item. Nothing else in the project
// knows of grids, blocks and shuffles. For .cu files.
#pragma once

#include <cuda_runtime.h>

#include <algorithm>
#include <cstdint>

#include "device/cuda/check.hpp"

namespace ntk::device::cuda {

inline constexpr int warp_size = 32;

// A team (kernels/team.hpp) of the 32 threads of a warp. Sums are butterflies: every thread gets
// the same bits.
struct Warp {
  static constexpr int lanes = 1;
  __device__ static int rank() { return static_cast<int>(threadIdx.x % warp_size); }
  __device__ static constexpr int size() { return warp_size; }
  __device__ static void barrier() { __syncwarp(); }
  template <class T>
  __device__ static T sum(T x) {
    for (int step = warp_size / 2; step > 0; step /= 2) x += __shfl_xor_sync(~0u, x, step);
    return x;
  }
  template <class T>
  __device__ static T max(T x) {
    for (int step = warp_size / 2; step > 0; step /= 2) {
      const T other = __shfl_xor_sync(~0u, x, step);
      x = other > x ? other : x;
    }
    return x;
  }
};

namespace launch_detail {

inline constexpr int block_size = 256;

template <class Body>
__global__ void __launch_bounds__(block_size) by_thread(std::int64_t items, Body body) {
  const std::int64_t first = blockIdx.x * std::int64_t{block_size} + threadIdx.x;
  for (std::int64_t i = first; i < items; i += std::int64_t{gridDim.x} * block_size) body(i);
}

template <class Body>
__global__ void __launch_bounds__(block_size) by_warp(std::int64_t items, Body body) {
  constexpr int warps = block_size / warp_size;
  const std::int64_t first = blockIdx.x * std::int64_t{warps} + threadIdx.x / warp_size;
  for (std::int64_t i = first; i < items; i += std::int64_t{gridDim.x} * warps) body(Warp{}, i);
}

inline unsigned blocks_for(std::int64_t items, std::int64_t items_a_block) {
  constexpr std::int64_t most = std::int64_t{1} << 30;
  return static_cast<unsigned>(std::min((items + items_a_block - 1) / items_a_block, most));
}

}  // namespace launch_detail

// body(i) for every i in [0, items), one thread each. Consecutive items are in one warp.
template <class Body>
void for_each_thread(cudaStream_t stream, std::int64_t items, Body body) {
  using namespace launch_detail;
  if (items <= 0) return;
  by_thread<<<blocks_for(items, block_size), block_size, 0, stream>>>(items, body);
  check(cudaGetLastError(), "a kernel launch");
}

// body(team, i) for every i in [0, items), one warp each.
template <class Body>
void for_each_warp(cudaStream_t stream, std::int64_t items, Body body) {
  using namespace launch_detail;
  if (items <= 0) return;
  by_warp<<<blocks_for(items, block_size / warp_size), block_size, 0, stream>>>(items, body);
  check(cudaGetLastError(), "a kernel launch");
}

}  // namespace ntk::device::cuda
