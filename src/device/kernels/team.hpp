// The small kernels are written once, for a team of threads: one thread on the CPU, a warp on a
// GPU. A team has rank(), size(), sum(x) and max(x) over its threads, and barrier(), after which
// what one thread of it wrote is there for the others. Long sums are kept in `lanes` accumulators
// of a thread at a time: vector registers on the CPU, one register on a GPU.
#pragma once

#if defined(__CUDACC__)
#define NTK_HD __host__ __device__
#define NTK_SIMD
#define NTK_SIMD_SUM(...)
#else
#define NTK_HD
#define NTK_PRAGMA(text) _Pragma(#text)
#define NTK_SIMD NTK_PRAGMA(omp simd)
#define NTK_SIMD_SUM(...) NTK_PRAGMA(omp simd reduction(+ : __VA_ARGS__))
#endif

namespace ntk::device::kernels {

// The CPU's team: loops of stride 1 that the compiler turns into vector code.
struct SingleThread {
  NTK_HD static constexpr int rank() { return 0; }
  NTK_HD static constexpr int size() { return 1; }
  static constexpr int lanes = 64;
  NTK_HD static constexpr void barrier() {}
  template <class T>
  NTK_HD static constexpr T sum(T x) {
    return x;
  }
  template <class T>
  NTK_HD static constexpr T max(T x) {
    return x;
  }
};

}  // namespace ntk::device::kernels
