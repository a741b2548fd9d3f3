// Operations a second of a rank's products in the contraction's precision: what shares and floors
// are measured against. Machines change their speed while they run, so it is measured again now and
// then.
#pragma once

#include <chrono>

#include "device/backend.hpp"

namespace ntk::kernel {

template <class Real>
class GemmRate {
 public:
  explicit GemmRate(device::Backend<Real>& backend) : backend_(backend) {
    backend_.time_gemm();  // warms up
    measure();
    measure();
  }

  // Once more, unless the last time is only seconds ago.
  void again() {
    if (std::chrono::steady_clock::now() - last_ > std::chrono::seconds(10)) measure();
  }
  void measure() {
    const device::GemmTiming timing = backend_.time_gemm();
    total_.operations += timing.operations;
    total_.seconds += timing.seconds;
    last_ = std::chrono::steady_clock::now();
  }
  double mean() const { return total_.operations / total_.seconds; }

 private:
  device::Backend<Real>& backend_;
  device::GemmTiming total_;
  std::chrono::steady_clock::time_point last_;
};

}  // namespace ntk::kernel
