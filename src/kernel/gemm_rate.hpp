// Operations a second of a rank's GEMM, all its threads: what shares and floors are measured
// against. Machines change their speed while they run, so it is measured again now and then.
#pragma once

#include <chrono>
#include <random>
#include <vector>

#include "base/stopwatch.hpp"
#include "device/backend.hpp"

namespace ntk::kernel {

template <class Real>
class GemmRate {
 public:
  explicit GemmRate(device::Backend<Real>& backend)
      : backend_(backend),
        a_(backend, std::span<const Real>(random())),
        c_(backend, order * order) {
    multiply();  // warms up
    measure();
    measure();
  }

  // Once more, unless the last time is only seconds ago.
  void again() {
    if (std::chrono::steady_clock::now() - last_ > std::chrono::seconds(10)) measure();
  }
  double mean() const { return static_cast<double>(calls_) * operations / seconds_; }

 private:
  static constexpr std::int64_t order = 1536;
  static constexpr double operations = 2.0 * static_cast<double>(order * order * order);

  static std::vector<Real> random() {
    std::mt19937 bits(1);
    std::vector<Real> x(static_cast<std::size_t>(order * order));
    for (auto& e : x) e = static_cast<Real>(bits()) / static_cast<Real>(bits.max()) - Real(0.5);
    return x;
  }
  void multiply() {
    backend_.gemm(true, order, order, order, a_.data(), order, a_.data(), order, false, c_.data(),
                  order);
  }
  void measure() {
    {
      Stopwatch watch(seconds_);
      multiply();
    }
    ++calls_;
    last_ = std::chrono::steady_clock::now();
  }

  device::Backend<Real>& backend_;
  device::Array<Real, Real> a_, c_;
  double seconds_ = 0;
  int calls_ = 0;
  std::chrono::steady_clock::time_point last_;
};

}  // namespace ntk::kernel
