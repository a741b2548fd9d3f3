// The small kernels are written once, for a team of threads: one thread on the CPU, a warp or a
// block on a GPU. A team has rank(), size() and sum(x), max(x) over its threads.
#pragma once

#if defined(__CUDACC__)
#define NTK_HD __host__ __device__
#else
#define NTK_HD
#endif

namespace ntk::device::kernels {

// The CPU's team: loops of stride 1 that the compiler turns into vector code.
struct SingleThread {
  static constexpr int rank() { return 0; }
  static constexpr int size() { return 1; }
  template <class T>
  static constexpr T sum(T x) {
    return x;
  }
  template <class T>
  static constexpr T max(T x) {
    return x;
  }
};

}  // namespace ntk::device::kernels
