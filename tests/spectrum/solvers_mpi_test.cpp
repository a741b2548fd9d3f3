// Spectra that are known exactly, and the matrices on which eigensolvers go wrong.
#include "spectrum/solvers.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numbers>

#include "grids.hpp"
#include "matrices.hpp"
#include "parallel/collectives.hpp"
#include "spectrum/checks.hpp"

namespace {

using namespace ntk;
using namespace ntk::spectrum;
using namespace ntk::spectrum::testing;
using std::numbers::pi;

// Runs all three solvers on K and hands out each one's descending eigenvalues, after the checks
// that production makes and a test that A is left as it was.
template <class Check>
void with_every_solver(const BlacsGrid& grid, std::int64_t n, std::int64_t block,
                       const Formula& formula, Check&& check, std::int64_t leading = 8) {
  BlockCyclicMatrix a = make(grid, n, block, formula);
  const BlockCyclicMatrix before = a;
  const Norms norm = norms(a);
  const auto local = static_cast<std::size_t>(a.leading_dimension() * a.local_columns());
  const auto unchanged = [&] {
    EXPECT_TRUE(std::equal(a.data(), a.data() + local, before.data()));
  };
  const auto accept = [&](const std::vector<double>& values, Checks checks) {
    EXPECT_TRUE(std::is_sorted(values.rbegin(), values.rend()));
    check_values(values, n, norm, 1e-16, false, checks);
    EXPECT_LE(checks.worst_ratio(), 30) << checks.to_json().dump();
    check(values);
    unchanged();
  };
  {
    SCOPED_TRACE("values");
    accept(solve_values(a, "test"), {});
  }
  {
    SCOPED_TRACE("all");
    const Pairs pairs = solve_all(a, "test");
    ASSERT_EQ(pairs.values.size(), static_cast<std::size_t>(n));
    Checks checks;
    check_vectors(a, pairs, norm, checks);
    accept(pairs.values, checks);
  }
  {
    SCOPED_TRACE("leading");
    const Pairs pairs = solve_leading(a, leading, norm, "test");
    ASSERT_EQ(pairs.values.size(), static_cast<std::size_t>(std::min(leading, n)));
    Checks checks;
    check_vectors(a, pairs, norm, checks);
    accept(pairs.values, checks);
  }
}

TEST(KnownSpectra, MinKernel) {
  const std::int64_t n = 200;
  const auto kernel = [&](std::int64_t i, std::int64_t j) {
    return number(std::min(i, j) + 1) / number(n) / number(n);
  };
  on_all_grids([&](const BlacsGrid& grid) {
    with_every_solver(grid, n, 16, kernel, [&](const std::vector<double>& values) {
      for (std::size_t k = 0; k < values.size(); ++k) {
        const double s =
            std::sin(number(2 * static_cast<std::int64_t>(k) + 1) * pi / number(4 * n + 2));
        const double exact = 1 / (4 * number(n * n) * s * s);
        EXPECT_NEAR(values[k], exact, 1e-14 * values[0] + 1e-12 * exact) << k;
      }
      EXPECT_NEAR(values[0], 0.405285, 5e-3);
      EXPECT_NEAR(values[1], 0.045032, 5e-4);
    });
  });
}

TEST(KnownSpectra, PeriodicSplines) {
  const std::int64_t n = 96;
  on_all_grids([&](const BlacsGrid& grid) {
    for (const int m : {1, 2}) {
      const auto profile = [&](std::int64_t lag) {
        const double d = number(lag) / number(n), e = d * d;
        return m == 1 ? (e - d + 1.0 / 6) / 2 : -(e * e - 2 * e * d + e - 1.0 / 30) / 24;
      };
      std::vector<double> exact;  // of the circulant: the cosine sums of its first row
      for (std::int64_t k = 0; k < n; ++k) {
        double sum = 0;
        for (std::int64_t lag = 0; lag < n; ++lag) {
          sum += profile(lag) / number(n) * std::cos(2 * pi * number(k * lag % n) / number(n));
        }
        exact.push_back(sum);
      }
      std::sort(exact.rbegin(), exact.rend());
      const auto kernel = [&](std::int64_t i, std::int64_t j) {
        return profile(std::abs(i - j)) / number(n);
      };
      with_every_solver(grid, n, 8, kernel, [&](const std::vector<double>& values) {
        for (std::size_t k = 0; k < values.size(); ++k) {
          EXPECT_NEAR(values[k], exact[k], 1e-13 * exact[0]) << k;
        }
        for (const std::size_t k : {0u, 1u}) {  // (2 pi k)^(-2m), each twice
          EXPECT_NEAR(values[k], std::pow(2 * pi, -2 * m), 2e-3 * values[0]);
          EXPECT_NEAR(values[2 + k], std::pow(4 * pi, -2 * m), 2e-3 * values[0]);
        }
      });
    }
  });
}

TEST(KnownSpectra, QuadraticKernelHasRankThree) {
  const std::int64_t n = 90;
  const auto x = [&](std::int64_t i) { return 2 * number(i) / number(n) - 1; };
  on_all_grids([&](const BlacsGrid& grid) {
    with_every_solver(
        grid, n, 8, [&](std::int64_t i, std::int64_t j) { return std::pow(1 + x(i) * x(j), 2); },
        [&](const std::vector<double>& values) {
          EXPECT_GT(values[2], 1e-3 * values[0]);
          for (std::size_t k = 3; k < values.size(); ++k) {
            EXPECT_LE(std::abs(values[k]), 1e-13 * values[0]);
          }
        });
  });
}

TEST(KnownSpectra, GaussianKernelFallsByTheGoldenRatioSquared) {
  const std::int64_t n = 240;
  std::vector<double> x;  // quantiles of N(0, 1)
  for (std::int64_t i = 0; i < n; ++i) {
    double low = -9, high = 9;
    while (high - low > 1e-12) {
      const double middle = (low + high) / 2;
      (std::erfc(-middle / std::numbers::sqrt2) / 2 < (number(i) + 0.5) / number(n) ? low : high) =
          middle;
    }
    x.push_back(low);
  }
  on_all_grids([&](const BlacsGrid& grid) {
    with_every_solver(
        grid, n, 16,
        [&](std::int64_t i, std::int64_t j) {
          const double d = x[static_cast<std::size_t>(i)] - x[static_cast<std::size_t>(j)];
          return std::exp(-d * d / 2) / number(n);
        },
        [&](const std::vector<double>& values) {
          for (std::size_t k = 0; k < 4; ++k) {
            const double exact = std::pow(std::numbers::phi, -2.0 * static_cast<double>(k) - 1);
            EXPECT_NEAR(values[k] / exact, 1, 0.05) << k;
          }
        });
  });
}

TEST(MatrixTypes, AllSolversOnAllGrids) {
  on_all_grids([](const BlacsGrid& grid) {
    // N = 0, 1, 2, below the number of ranks, one block larger than the matrix, ragged.
    const std::vector<std::pair<std::int64_t, std::int64_t>> sizes = {
        {0, 4}, {1, 1}, {1, 4}, {2, 1}, {2, 4}, {3, 1}, {9, 64}, {45, 7}};
    for (const auto& [n, block] : sizes) {
      for (const Case& one : cases(n)) {
        SCOPED_TRACE(fmt::format("{}, n = {}, block {}", one.name, n, block));
        const std::int64_t order = n;
        with_every_solver(
            grid, n, block, one.formula,
            [&](const std::vector<double>& values) {
              for (std::size_t k = 0; k < values.size(); ++k) {
                const double scale =
                    std::max(std::abs(one.exact(0, order)), std::abs(one.exact(order - 1, order)));
                EXPECT_NEAR(values[k], one.exact(static_cast<std::int64_t>(k), order),
                            1e-13 * scale)
                    << k;
              }
            },
            4);
      }
    }
  });
}

// ScaLAPACK 2.2.1's PDSYEVR loses some of these eigenvalues.
TEST(Hazards, CentredKernelKeepsItsTrace) {
  on_all_grids([](const BlacsGrid& grid) {
    for (const std::int64_t n : {40, 64, 80}) {
      BlockCyclicMatrix a = make(grid, n, 10, [&](std::int64_t i, std::int64_t j) {
        const double lag = number(i - j);
        return (std::exp(-std::abs(lag) / 9) + 0.3 * std::cos(0.4 * lag) + 1) / number(n);
      });
      centre(a, means(a, 1));
      const Norms norm = norms(a);
      const std::vector<double> values = solve_values(a, "test");
      const Pairs pairs = solve_all(a, "test");
      Checks checks;
      check_values(values, n, norm, 1e-16, true, checks);
      EXPECT_LE(checks.worst_ratio(), 30) << checks.to_json().dump();
      for (std::size_t k = 0; k < values.size(); ++k) {
        EXPECT_NEAR(values[k], pairs.values[k], 1e-14 * values[0]);
      }
    }
  });
}

// Sizes at which PDSYEVD deadlocks with the workspace that its own query asks for.
TEST(Hazards, SmallMatricesInLargeBlocksDoNotHang) {
  on_all_grids([](const BlacsGrid& grid) {
    for (const std::int64_t n : {65, 100, 129, 160}) {
      for (const std::int64_t block : {32, 64, 100}) {
        BlockCyclicMatrix a = make(grid, n, block, [](std::int64_t i, std::int64_t j) {
          return std::exp(-std::abs(number(i - j)) / 5);
        });
        const Norms norm = norms(a);
        const Pairs pairs = solve_all(a, "test");
        Checks checks;
        check_vectors(a, pairs, norm, checks);
        check_values(pairs.values, n, norm, 1e-16, true, checks);
        EXPECT_LE(checks.worst_ratio(), 30) << n << " in blocks of " << block;
      }
    }
  });
}

TEST(Hazards, NonFiniteInputIsAnErrorOnEveryRank) {
  on_all_grids([](const BlacsGrid& grid) {
    BlockCyclicMatrix a = make(grid, 50, 8, [](std::int64_t i, std::int64_t j) {
      return i * j == 47 * 3 ? std::nan("") : number(i + j);
    });
    const Norms norm{1, 1};
    const std::vector<std::function<void()>> solvers = {
        [&] { solve_values(a, "test"); }, [&] { solve_all(a, "test"); },
        [&] { solve_leading(a, 3, norm, "test"); }, [&] { solve_leading(a, 40, norm, "test"); }};
    for (const auto& solve : solvers) {
      try {
        solve();
        ADD_FAILURE() << "no error";
      } catch (const parallel::AgreedError& error) {
        EXPECT_EQ(error.code(), ExitCode::numerical);
      }
    }
  });
}

TEST(Checks, DetectCorruptedResults) {
  on_all_grids([](const BlacsGrid& grid) {
    const std::int64_t n = 60;
    BlockCyclicMatrix a = make(grid, n, 8, [](std::int64_t i, std::int64_t j) {
      return 1 / number(1 + i + j) + (i == j);
    });
    const Norms norm = norms(a);
    const Pairs good = solve_all(a, "test");
    const auto checked = [&](const Pairs& pairs) {
      Checks checks;
      check_vectors(a, pairs, norm, checks);
      check_values(pairs.values, n, norm, 1e-16, true, checks);
      return checks;
    };
    EXPECT_NO_THROW(enforce(checked(good), "test"));

    const auto element = good.vectors.distribution();
    const auto disturb = [&](Pairs& pairs, parallel::GlobalElement at, double change) {
      if (!element.mine(at)) return;
      const auto [i, j] = element.to_local(at);
      pairs.vectors.local(i, j) += change;
    };
    Pairs bad = good;
    disturb(bad, {31, 44}, 1e-9);
    EXPECT_GT(checked(bad).orthogonality, 100);
    EXPECT_THROW(enforce(checked(bad), "test"), parallel::AgreedError);
    bad = good;
    disturb(bad, {59, 0}, 1e-9);
    EXPECT_GT(checked(bad).residual, 100);
    bad = good;
    bad.values[3] += 1e-9;
    EXPECT_GT(checked(bad).residual, 100);
    EXPECT_GT(checked(bad).trace, 100);
    bad = good;
    std::fill(bad.values.begin(), bad.values.end(), 0.0);  // what PDSYEVR returns for NaNs
    EXPECT_GT(checked(bad).frobenius, 100);
    bad = good;
    disturb(bad, {1, 1}, std::nan(""));
    EXPECT_THROW(enforce(checked(bad), "test"), parallel::AgreedError);
  });
}

TEST(Checks, LeadingValuesMustNotExceedTheNorms) {
  Checks checks;
  check_values({2, 1}, 10, {4, 2.5}, 1e-16, true, checks);
  EXPECT_EQ(*checks.trace, 0);
  EXPECT_EQ(*checks.frobenius, 0);
  EXPECT_FALSE(checks.smallest);
  check_values({3, 1.5}, 10, {4, 3}, 1e-16, true, checks);
  EXPECT_GT(*checks.trace, 100);
  EXPECT_GT(*checks.frobenius, 100);
}

TEST(Checks, NegativeEigenvaluesAreMeasuredAgainstRounding) {
  Checks checks;
  check_values({1, 0, -1e-6}, 3, {1, 1}, 6e-8, true, checks);
  EXPECT_LT(*checks.smallest, *checks.smallest_allowed);
  check_values({1, 0, -1e-7}, 3, {1, 1}, 6e-8, true, checks);
  EXPECT_GT(*checks.smallest, *checks.smallest_allowed);
}

}  // namespace
