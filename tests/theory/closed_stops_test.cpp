// Closed forms against the rule itself.
#include "theory/closed_stops.hpp"

#include <gtest/gtest.h>

#include "theory/stopping.hpp"
#include "theory/test_kernels.hpp"

namespace ntk::theory {
namespace {

using std::numbers::pi;

// formula / rule, for as many of the eigenvalues law(k) as `modes`.
template <class Law, class Formula>
double closed_ratio(std::size_t modes, Law law, const StopScale& of, Formula formula) {
  std::vector<double> l;
  for (std::size_t k = 1; k <= modes; ++k) l.push_back(law(static_cast<double>(k)));
  const auto closed = formula(of);
  EXPECT_TRUE(closed);
  return closed.value_or(0) / rwy_stop(l, of.n, of.noise_variance, of.norm2);
}

TEST(ClosedStops, PowerLaws) {
  for (const double alpha : {1.5, 1.7, 2.0, 3.0, 4.0}) {
    const double ratio = closed_ratio(
        200000, [&](double k) { return 3 * std::pow(k, -alpha); },
        {2000, alpha > 2 ? 1e-6 : 1e-3, 1.5},
        [&](const StopScale& of) { return power_law_stop(3, alpha, of); });
    EXPECT_NEAR(ratio, 1, 0.015) << alpha;
  }
}

TEST(ClosedStops, MinKernelOnAGrid) {
  const std::vector<double> sizes{256, 1024, 4096, 16384};
  const std::vector<double> digits{5.699, 14.36, 36.19, 91.19};
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    const auto eta = power_law_stop(1 / (pi * pi), 2, {sizes[i], 1, 1});
    ASSERT_TRUE(eta);
    EXPECT_NEAR(*eta, digits[i], i == 0 ? 5e-4 : 5e-3);
    EXPECT_NEAR(*eta, std::pow(sizes[i] * pi / (8 * std::numbers::e * std::numbers::e), 2.0 / 3),
                1e-9 * *eta);
    const auto l = test::min_grid_spectrum(static_cast<std::size_t>(sizes[i]));
    EXPECT_NEAR(*eta / rwy_stop(l, sizes[i], 1, 1), 1, 0.015) << sizes[i];
    EXPECT_NEAR(
        *power_law_stop(1 / (pi * pi), 2, {sizes[i], 0.01, 1}) / rwy_stop(l, sizes[i], 0.01, 1), 1,
        0.015)
        << sizes[i];
  }
}

TEST(ClosedStops, ExponentialAndFiniteRank) {
  for (const double c : {0.01, 0.05, 0.1}) {
    const double ratio = closed_ratio(
        4096, [&](double k) { return 2 * std::exp(-c * k); }, {4096, 1e-3, 1.5},
        [&](const StopScale& of) { return exponential_stop(2, c, of); });
    EXPECT_NEAR(ratio, 1, 0.015) << c;
  }
  const double ratio = closed_ratio(
      1024, [](double k) { return k <= 3 ? 2 / k : 0; }, {1024, 0.04, 1},
      [](const StopScale& of) { return finite_rank_stop(3, 2.0 / 3, of); });
  EXPECT_NEAR(ratio, 1, 1e-12);
}

// Without ranks above 1/eta, or without a finite trace.
TEST(ClosedStops, NothingWhereTheFormulaDoesNotHold) {
  const StopScale noisy{100, 1e6, 1};
  EXPECT_FALSE(exponential_stop(1, 0.1, noisy));
  EXPECT_FALSE(finite_rank_stop(3, 0.5, noisy));
  const StopScale quiet{1000, 0.01, 1};
  EXPECT_FALSE(power_law_stop(1, 1, quiet));
  EXPECT_FALSE(power_law_stop(std::nan(""), 2, quiet));
  EXPECT_TRUE(power_law_stop(1, 1.01, quiet));
}

TEST(ClosedStops, ScaleOfTheKernelIsScaleOfTime) {
  const StopScale plain{1000, 0.1, 2}, scaled{1000, 0.1, 2 / 1e6};
  EXPECT_NEAR(*power_law_stop(3e6, 1.7, scaled) * 1e6 / *power_law_stop(3, 1.7, plain), 1, 1e-12);
  EXPECT_NEAR(*exponential_stop(3e6, 0.1, scaled) * 1e6 / *exponential_stop(3, 0.1, plain), 1,
              1e-12);
}

}  // namespace
}  // namespace ntk::theory
