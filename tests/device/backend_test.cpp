// The backend's contractions against plain loops in fp64, typed over precisions; the same bits with
// any number of threads; the memory pool's limit; the choice of BLAS core.
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>
#include <random>

#include "base/error.hpp"
#include "device/backend.hpp"
#include "device/cpu/blas_core.hpp"
#include "device/cpu/cpu_backend.hpp"

namespace ntk::device {
namespace {

template <class Real>
std::vector<Real> random_vector(std::int64_t n, unsigned seed) {
  std::mt19937 bits(seed);
  std::normal_distribution<double> normal;
  std::vector<Real> x(static_cast<std::size_t>(n));
  for (auto& e : x) e = static_cast<Real>(normal(bits));
  return x;
}

template <class Real>
class CpuBackendTest : public testing::Test {
 protected:
  static constexpr double roundoff = sizeof(Real) == 4 ? 0x1.0p-24 : 0x1.0p-53;
  std::unique_ptr<Backend<Real>> one = make_cpu_backend<Real>(1, 0);
  std::unique_ptr<Backend<Real>> two = make_cpu_backend<Real>(2, 0);
};
using Precisions = testing::Types<float, double>;
TYPED_TEST_SUITE(CpuBackendTest, Precisions);

// Factors of three samples of 3, 1 and 7 tokens.
template <class Real>
struct Site {
  std::vector<std::int64_t> offsets{0, 3, 4, 11};
  std::int64_t inputs = 37, outputs = 13;
  int copies = 2;
  std::vector<Real> a = random_vector<Real>(11 * inputs, 1);
  std::vector<Real> g = random_vector<Real>(copies * 11 * outputs, 2);
  FactorView<Real> view() const { return {a.data(), g.data(), 11, {3, offsets.data()}}; }
  double gradient(int c, std::int64_t s, std::int64_t o, std::int64_t i) const {
    double sum = 0;
    for (std::int64_t t = offsets[static_cast<std::size_t>(s)];
         t < offsets[static_cast<std::size_t>(s) + 1]; ++t) {
      sum += static_cast<double>(g[static_cast<std::size_t>((c * 11 + t) * outputs + o)]) *
             static_cast<double>(a[static_cast<std::size_t>(t * inputs + i)]);
    }
    return sum;
  }
};

TYPED_TEST(CpuBackendTest, FormsGradientsOfRaggedSamples) {
  using Real = TypeParam;
  const Site<Real> site;
  const std::int64_t first = 2, count = 9, columns = count * site.inputs;
  std::vector<Real> j(static_cast<std::size_t>(site.copies * 3 * columns), Real(99));
  auto again = j;
  this->one->form(site.view(), site.copies, site.inputs, site.outputs, first, count, j.data(),
                  columns);
  this->two->form(site.view(), site.copies, site.inputs, site.outputs, first, count, again.data(),
                  columns);
  EXPECT_EQ(j, again);
  for (int c = 0; c < site.copies; ++c) {
    for (std::int64_t s = 0; s < 3; ++s) {
      for (std::int64_t o = 0; o < count; ++o) {
        for (std::int64_t i = 0; i < site.inputs; ++i) {
          const double exact = site.gradient(c, s, first + o, i);
          EXPECT_NEAR(static_cast<double>(
                          j[static_cast<std::size_t>((c * 3 + s) * columns + o * site.inputs + i)]),
                      exact, 40 * this->roundoff);
        }
      }
    }
  }
}

TYPED_TEST(CpuBackendTest, StructuredEqualsExplicit) {
  using Real = TypeParam;
  const Site<Real> site;
  for (const bool class_diagonal : {false, true}) {
    const std::int64_t n = class_diagonal ? 3 : site.copies * 3;
    std::vector<double> tile(static_cast<std::size_t>(n * n), 0.0);
    const typename Backend<Real>::StructuredBlock block{site.view(), site.view(), 0,    0,
                                                        tile.data(), n,           false};
    this->one->contract_structured(std::span(&block, 1), site.copies, site.inputs, site.outputs, 3,
                                   3, class_diagonal);
    double scale = 0;
    for (double x : tile) scale = std::max(scale, std::abs(x));
    for (int c = 0; c < site.copies; ++c) {
      for (int d = 0; d < site.copies; ++d) {
        if (class_diagonal && (c != d || c > 0)) continue;
        for (std::int64_t s = 0; s < 3; ++s) {
          for (std::int64_t r = 0; r < 3; ++r) {
            double exact = 0;
            for (int plane = 0; plane < (class_diagonal ? site.copies : 1); ++plane) {
              for (std::int64_t o = 0; o < site.outputs; ++o) {
                for (std::int64_t i = 0; i < site.inputs; ++i) {
                  exact += site.gradient(class_diagonal ? plane : c, s, o, i) *
                           site.gradient(class_diagonal ? plane : d, r, o, i);
                }
              }
            }
            const auto at = class_diagonal ? s * n + r : (c * 3 + s) * n + d * 3 + r;
            EXPECT_NEAR(tile[static_cast<std::size_t>(at)], exact, 100 * this->roundoff * scale);
          }
        }
      }
    }
  }
}

TYPED_TEST(CpuBackendTest, ProductsHaveTheSameBitsOnAnyNumberOfThreads) {
  using Real = TypeParam;
  const std::int64_t m = 1100, n = 70, k = 50;
  const auto a = random_vector<Real>(m * k, 3), b = random_vector<Real>(n * k, 4);
  std::vector<Real> c1(static_cast<std::size_t>(m * n)), c2 = c1;
  this->one->gemm(true, m, n, k, a.data(), k, b.data(), k, false, c1.data(), n);
  this->two->gemm(true, m, n, k, a.data(), k, b.data(), k, false, c2.data(), n);
  EXPECT_EQ(c1, c2);
  double exact = 0;
  for (std::int64_t i = 0; i < k; ++i)
    exact += static_cast<double>(a[static_cast<std::size_t>(1099 * k + i)]) *
             static_cast<double>(b[static_cast<std::size_t>(69 * k + i)]);
  EXPECT_NEAR(static_cast<double>(c1.back()), exact, 100 * this->roundoff * std::sqrt(double(k)));
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
