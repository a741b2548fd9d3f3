// How far the ranks together are, as the first one knows it, in a line now and then.
#pragma once

#include <chrono>
#include <cstdint>

namespace ntk::kernel {

class Progress {
 public:
  // `operations`: useful operations of all work to do; `rate`: GEMM rate of all ranks together
  // (operations a second).
  Progress(std::int64_t tiles, double operations, double rate);

  void add(double tiles, double operations);  // finished since the last call
  void print_now_and_then();

  std::int64_t tiles_done() const { return static_cast<std::int64_t>(tiles_done_); }
  double seconds() const;  // since the start

 private:
  std::int64_t tiles_;
  double operations_, rate_;
  double tiles_done_ = 0, operations_done_ = 0;
  std::chrono::steady_clock::time_point start_, printed_;
};

}  // namespace ntk::kernel
