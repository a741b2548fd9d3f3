#include "kernel/rates.hpp"

#include <chrono>
#include <cstring>
#include <exception>
#include <thread>
#include <vector>

#include "base/stopwatch.hpp"
#include "device/cpu/host_memory.hpp"
#include "kernel/gemm_rate.hpp"

namespace ntk::kernel {
namespace {

constexpr double timed_seconds = 3;  // machines are faster and slower by the second

template <class Real>
double one_rate(const ComputeDevice& device, int threads) {
  const auto backend = make_backend<Real>(device, threads);
  GemmRate<Real> rate(*backend);
  const auto start = std::chrono::steady_clock::now();
  while (std::chrono::steady_clock::now() - start < std::chrono::duration<double>(timed_seconds)) {
    rate.measure();
  }
  return rate.mean();
}

template <class Real>
double mean_rate(const ComputeDevice& device, int threads, int ranks) {
  std::vector<double> rates(static_cast<std::size_t>(ranks), 0.0);
  std::vector<std::exception_ptr> failed(rates.size());
  std::vector<std::thread> at_work;
  for (std::size_t r = 0; r < rates.size(); ++r) {
    at_work.emplace_back([&, r] {
      try {
        rates[r] = one_rate<Real>(device, threads);
      } catch (...) {
        failed[r] = std::current_exception();
      }
    });
  }
  for (auto& thread : at_work) thread.join();
  double sum = 0;
  for (std::size_t r = 0; r < rates.size(); ++r) {
    if (failed[r]) std::rethrow_exception(failed[r]);
    sum += rates[r];
  }
  return sum / ranks;
}

}  // namespace

double measure_gemm(const ComputeDevice& device, int threads, int ranks) {
  if (device.kind == device::Kind::cuda) ranks = 1;
  return device.precision == device::Precision::fp64 ? mean_rate<double>(device, threads, ranks)
                                                     : mean_rate<float>(device, threads, ranks);
}

double measure_check_gemm(int threads) {
  ComputeDevice cpu;
  cpu.precision = device::Precision::fp64;
  return mean_rate<double>(cpu, threads, 1);
}

double measure_fresh_memory() {
  constexpr std::size_t bytes = std::size_t{128} << 20;
  device::cpu::HostMemory memory;
  void* block = memory.take(bytes);
  if (block == nullptr) return 0;
  double seconds = 0;
  {
    const Stopwatch watch(seconds);
    std::memset(block, 1, bytes);
  }
  memory.give_back(block);
  return static_cast<double>(bytes) / seconds;
}

}  // namespace ntk::kernel
