// The backends that typed tests run over. Names hold "cuda" where a test needs a GPU, so that a
// filter can choose; without one such tests are skipped, with the reason. What reduced precisions
// lose is tested everywhere: by backends that emulate them.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "device/backend.hpp"
#include "device/cuda.hpp"
#include "device/precision.hpp"
#include "support/emulated_backend.hpp"

namespace ntk::test {

template <class R>
struct Cpu {
  using Real = R;
  static constexpr const char* name = "cpu";
  static constexpr auto precision =
      sizeof(R) == sizeof(double) ? device::Precision::fp64 : device::Precision::fp32;
  static std::unique_ptr<device::Backend<Real>> make(int threads = 1) {
    return device::make_cpu_backend<Real>(threads, 0);
  }
  static std::string problem() { return ""; }
};

template <device::Precision p>
struct Cuda {
  using Real = std::conditional_t<p == device::Precision::fp64, double, float>;
  static constexpr const char* name = "cuda";
  static constexpr auto precision = p;
  static std::unique_ptr<device::Backend<Real>> make(int = 1) {
    return device::make_cuda_backend<Real>(0, p, 0);
  }
  static std::string problem() { return device::cuda_devices().problem; }
};

template <device::Precision p>
struct Emulated {
  using Real = float;
  static constexpr const char* name = "emulated";
  static constexpr auto precision = p;
  static std::unique_ptr<device::Backend<Real>> make(int threads = 1) {
    return std::make_unique<EmulatedBackend>(p, threads);
  }
  static std::string problem() { return ""; }
};

template <class... Lists>
struct Joined;
template <class... A, class... B>
struct Joined<testing::Types<A...>, testing::Types<B...>> {
  using type = testing::Types<A..., B...>;
};

using CpuBackends = testing::Types<Cpu<double>, Cpu<float>>;
// Those with the precisions of a GPU.
using DeviceBackends =
    testing::Types<Cuda<device::Precision::fp64>, Cuda<device::Precision::fp32>,
                   Cuda<device::Precision::tf32>, Cuda<device::Precision::bf16x2>,
                   Cuda<device::Precision::bf16x3>, Emulated<device::Precision::tf32>,
                   Emulated<device::Precision::bf16x2>, Emulated<device::Precision::bf16x3>>;
using Backends = Joined<CpuBackends, DeviceBackends>::type;

struct BackendNames {
  template <class B>
  static std::string GetName(int) {
    return B::name + ("_" + std::string(device::facts(B::precision).name));
  }
};

// A test fixture of one backend; skips where the backend cannot be made.
template <class B>
class BackendTest : public testing::Test {
 protected:
  // Of a number in the working precision, and of an operand of a contraction.
  static constexpr double working_roundoff = sizeof(typename B::Real) == 4 ? 0x1p-24 : 0x1p-53;
  static constexpr double roundoff = device::facts(B::precision).roundoff;

  void SetUp() override {
    const std::string problem = B::problem();
    if (!problem.empty()) GTEST_SKIP() << "no GPU: " << problem;
    device_ = B::make();
  }
  std::unique_ptr<device::Backend<typename B::Real>> device_;
};

// Whether the backend works on a GPU, not on what stands in for one (support/cuda_on_cpu).
template <class B>
bool on_real_device() {
  return std::string(B::name) == "cuda" &&
         device::cuda_devices().devices.front().name != "device on the CPU";
}

// On a device and back.
template <class T, class Real>
device::Array<T, Real> to_device(device::Backend<Real>& backend, const std::vector<T>& host) {
  return device::Array<T, Real>(backend, std::span<const T>(host));
}
template <class T, class Real>
std::vector<T> to_host(device::Backend<Real>& backend, const T* data, std::int64_t count) {
  std::vector<T> host(static_cast<std::size_t>(count));
  backend.download(host.data(), data, host.size() * sizeof(T));
  return host;
}

}  // namespace ntk::test
