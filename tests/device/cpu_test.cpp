// What is the CPU backend's own: threads and bits, exceptions out of parallel loops, the memory
// pool's limit, the choice of BLAS core.
#include <gtest/gtest.h>

#include <cmath>

#include "base/error.hpp"
#include "device/cpu/blas_core.hpp"
#include "device/cpu/cpu_backend.hpp"
#include "support/random.hpp"

namespace ntk::device {
namespace {

using test::random_vector;

template <class Real>
class CpuThreads : public testing::Test {};
using Precisions = testing::Types<float, double>;
TYPED_TEST_SUITE(CpuThreads, Precisions);

TYPED_TEST(CpuThreads, ProductsHaveTheSameBitsOnAnyNumber) {
  using Real = TypeParam;
  const double roundoff = sizeof(Real) == 4 ? 0x1.0p-24 : 0x1.0p-53;
  const auto one = make_cpu_backend<Real>(1, 0), two = make_cpu_backend<Real>(2, 0);
  const std::int64_t m = 1100, n = 70, k = 50;
  const auto a = random_vector<Real>(m * k, 3), b = random_vector<Real>(n * k, 4);
  std::vector<Real> c1(static_cast<std::size_t>(m * n)), c2 = c1;
  one->gemm(true, m, n, k, a.data(), k, b.data(), k, false, c1.data(), n);
  two->gemm(true, m, n, k, a.data(), k, b.data(), k, false, c2.data(), n);
  EXPECT_EQ(c1, c2);
  double exact = 0;
  for (std::int64_t i = 0; i < k; ++i)
    exact += static_cast<double>(a[static_cast<std::size_t>(1099 * k + i)]) *
             static_cast<double>(b[static_cast<std::size_t>(69 * k + i)]);
  EXPECT_NEAR(static_cast<double>(c1.back()), exact, 100 * roundoff * std::sqrt(double(k)));
}

TEST(ParallelFor, ExceptionsComeOutOfTheLoop) {
  for (int threads : {1, 3}) {
    const auto body = [](std::int64_t i) {
      if (i % 10 == 3) throw Error(ExitCode::resources, "no memory");
    };
    EXPECT_THROW(cpu::parallel_for(threads, 100, body), Error) << threads;
  }
}

TEST(MemoryPool, LimitIsAnErrorThatNamesTheSetting) {
  auto backend = make_cpu_backend<float>(1, 1 << 20);
  void* half = backend->allocate(1 << 19);
  backend->release(half);
  EXPECT_EQ(backend->allocate(1 << 19), half) << "freed blocks are used again";
  try {
    backend->allocate(1 << 21);
    FAIL() << "more than the limit was given";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::resources);
    EXPECT_NE(std::string(error.what()).find("kernel.memory_gib"), std::string::npos);
  }
}

TEST(BlasCore, SlowCoresOnFastProcessorsAreReplaced) {
  EXPECT_EQ(cpu::better_core("Prescott", true, true), "SkylakeX");
  EXPECT_EQ(cpu::better_core("Prescott", true, false), "Haswell");
  EXPECT_EQ(cpu::better_core("Sandybridge", true, false), "Haswell");
  EXPECT_EQ(cpu::better_core("Prescott", false, false), "");
  EXPECT_EQ(cpu::better_core("Haswell", true, true), "");
  EXPECT_EQ(cpu::better_core("Cooperlake", true, true), "");
  EXPECT_EQ(cpu::better_core("Zen", true, false), "");
}

}  // namespace
}  // namespace ntk::device
