// Stands in for src/device/cuda/launch.hpp (README.md beside this folder).
#pragma once

#include <cuda_runtime_api.h>
#include <setjmp.h>
#include <ucontext.h>

#include <cstdint>
#include <cstring>
#include <functional>
#include <memory>
#include <stdexcept>
#include <vector>

#include "device/cuda/check.hpp"

namespace ntk::device::cuda {

inline constexpr int warp_size = 32;

// 32 fibers that take turns: each runs until it comes to a barrier or to its end.
class FakeWarp {
 public:
  FakeWarp();
  // body(rank) on every fiber. std::logic_error when they do not come to the same barriers.
  void run(const std::function<void(int)>& body);
  void barrier();
  // Every fiber's value.
  template <class T>
  void exchange(int rank, T mine, T* all) {
    static_assert(sizeof(T) <= sizeof(double));
    std::memcpy(&slots_[rank], &mine, sizeof mine);
    barrier();
    for (int i = 0; i < warp_size; ++i) std::memcpy(all + i, &slots_[i], sizeof(T));
    barrier();
  }

 private:
  static void enter();
  static FakeWarp* entering;

  void resume();

  // A context starts a fiber; after that, jumps switch, which ask nothing of the system.
  ucontext_t fibers_[warp_size]{};
  jmp_buf scheduler_, waiting_[warp_size];
  bool started_[warp_size] = {};
  std::vector<std::unique_ptr<char[]>> stacks_;
  double slots_[warp_size] = {};
  bool done_[warp_size] = {};
  int current_ = 0;
  const std::function<void(int)>* body_ = nullptr;
};
FakeWarp& fake_warp();

struct Warp {
  static constexpr int lanes = 1;
  int thread = 0;
  int rank() const { return thread; }
  static constexpr int size() { return warp_size; }
  static void barrier() { fake_warp().barrier(); }
  // The butterfly of the real one.
  template <class T>
  T sum(T x) const {
    T all[warp_size];
    fake_warp().exchange(thread, x, all);
    for (int step = warp_size / 2; step > 0; step /= 2) {
      T next[warp_size];
      for (int i = 0; i < warp_size; ++i) next[i] = all[i] + all[i ^ step];
      std::memcpy(all, next, sizeof all);
    }
    return all[thread];
  }
  template <class T>
  T max(T x) const {
    T all[warp_size];
    fake_warp().exchange(thread, x, all);
    for (int i = 0; i < warp_size; ++i) x = all[i] > x ? all[i] : x;
    return x;
  }
};

template <class Body>
void for_each_thread(cudaStream_t, std::int64_t items, Body body) {
  check(cudaGetLastError(), "a kernel launch");
  for (std::int64_t i = 0; i < items; ++i) body(i);
}

template <class Body>
void for_each_warp(cudaStream_t, std::int64_t items, Body body) {
  check(cudaGetLastError(), "a kernel launch");
  for (std::int64_t i = 0; i < items; ++i) {
    fake_warp().run([&](int rank) { body(Warp{rank}, i); });
  }
}

}  // namespace ntk::device::cuda
