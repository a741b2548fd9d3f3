// Effective dimension and decay against exact and designed kernels.
#include "theory/decay.hpp"

#include <gtest/gtest.h>

#include "theory/effective_dimension.hpp"
#include "theory/rates.hpp"
#include "theory/test_kernels.hpp"

namespace ntk::theory {
namespace {

using test::Draw;

double gaussian_kernel(double x, double y) {
  return std::exp(-(x - y) * (x - y) / 2);
}

std::vector<double> law(std::size_t n, double (*l)(double)) {
  std::vector<double> values;
  for (std::size_t k = 1; k <= n; ++k) values.push_back(l(static_cast<double>(k)));
  return values;
}

double rounding_floor(const SymmetricEigen& e) {
  return static_cast<double>(e.n) * 2.3e-16 * e.values[0];
}

// One draw shared by the tests on the min kernel with random inputs.
const SymmetricEigen& random_min() {
  static const SymmetricEigen e = [] {
    Draw draw(11);
    return test::kernel_eigen(draw.uniforms(1024), test::min_kernel);
  }();
  return e;
}

// Gaussian features of alpha = 1.2, with the tail that was not drawn on the diagonal.
const SymmetricEigen& slow_features() {
  static const SymmetricEigen e = [] {
    Draw draw(12);
    constexpr std::size_t n = 1024, p = 4096;
    return test::scaled_eigen(
        test::gram(test::power_features(n, p, 1.2, draw), n, p, test::power_tail(p, 1.2)), n);
  }();
  return e;
}

TEST(EffectiveDimension, PowerLawHasItsClosedForm) {
  // df = (A/kappa)^{1/alpha} (pi/alpha)/sin(pi/alpha) for l_k = A k^-alpha, n without end.
  const auto l = law(200000, [](double k) { return 0.7 * std::pow(k, -2); });
  const auto curve = ridge_curve(l, 1e12, 200);
  for (std::size_t p = 0; p < curve.df.size(); ++p) {
    if (curve.df[p] < 20 || curve.df[p] > 500) continue;
    const double expected =
        std::sqrt(0.7 / curve.kappa[p]) * std::numbers::pi / 2 - 0.5;  // -1/2: the sum starts at 1
    EXPECT_NEAR(curve.df[p] / expected, 1, 2e-3);
    // N2 = sum (L/(L + kappa))^2 exactly, when nothing is corrected for n.
    double n2 = 0;
    for (const double v : l) n2 += v * v / (v + curve.kappa[p]) / (v + curve.kappa[p]);
    EXPECT_NEAR(curve.n2[p] / n2, 1, 1e-6);
  }
}

TEST(EffectiveDimension, RecoversTheExponentOfTheMinKernel) {
  const auto& e = random_min();
  const auto windows =
      kappa_windows(ridge_curve(std::span(e.values).first(positive_modes(e.values)), 1024));
  ASSERT_TRUE(windows.full && windows.low && windows.high);
  EXPECT_GT(windows.full->alpha, 1.95);
  EXPECT_LT(windows.full->alpha, 2.08);
  const double exponent = worst_case_exponent(windows.full->alpha);
  EXPECT_GT(exponent, -0.69);
  EXPECT_LT(exponent, -0.64);
}

TEST(EffectiveDimension, SurvivesASlowTailWhereAFullRangeLineFails) {
  const auto& e = slow_features();
  const auto fit = kappa_windows(ridge_curve(e.values, 1024)).full;
  ASSERT_TRUE(fit);
  EXPECT_GT(fit->alpha, 1.15);
  EXPECT_LT(fit->alpha, 1.22);
  const auto line = rank_decay(e.values, 5, 1024, RankWeights::equal);
  ASSERT_TRUE(line);
  EXPECT_NEAR(line->alpha, 0.79, 0.03);  // it reports a kernel without a finite trace: it must fail
  EXPECT_LT(line->alpha, 1.15);
}

TEST(EffectiveDimension, DoesNotDependOnTheScale) {
  auto scaled = random_min().values;
  for (double& l : scaled) l *= 1e6;
  const auto& plain = random_min().values;
  const auto a = kappa_windows(ridge_curve(std::span(plain).first(positive_modes(plain)), 1024));
  const auto b = kappa_windows(ridge_curve(std::span(scaled).first(positive_modes(scaled)), 1024));
  EXPECT_NEAR(a.full->alpha, b.full->alpha, 1e-9);
  EXPECT_NEAR(a.low->alpha, b.low->alpha, 1e-9);
}

TEST(EffectiveDimension, HasNoExponentWithoutModes) {
  const std::vector<double> three{1, 0.5, 0.25};
  const auto windows = kappa_windows(ridge_curve(three, 100));
  EXPECT_FALSE(windows.full);
  EXPECT_FALSE(windows.low);
}

TEST(Decay, StretchedFamilyOnExactLaws) {
  struct Case {
    double (*l)(double);
    double g, tolerance;
  };
  for (const auto& c :
       {Case{[](double k) { return std::pow(k, -2); }, 0, 1e-3},
        Case{[](double k) { return std::pow(k, -3); }, 0, 1e-3},
        Case{[](double k) { return std::exp(-0.05 * k); }, 1, 1e-3},
        Case{[](double k) { return std::exp(-3 * std::pow(k, 0.4)); }, 0.4, 1e-3}}) {
    const auto fit = stretched_fit(law(1024, c.l), 5, 204);
    ASSERT_TRUE(fit);
    EXPECT_NEAR(fit->g, c.g, c.tolerance);
  }
  const auto square = stretched_fit(law(1024, [](double k) { return std::pow(k, -2); }), 5, 204);
  EXPECT_NEAR(square->s, 2, 0.01);
}

TEST(Decay, CutOffShowsAsADriftOfTheWindow) {
  const auto l = law(1024, [](double k) { return std::pow(k, -1.5) * std::exp(-k / 150); });
  const auto verdict = classify_decay(l, 0, 0);
  ASSERT_EQ(verdict.windows.size(), 3u);
  EXPECT_LT(verdict.windows[0].g, verdict.windows[1].g);
  EXPECT_LT(verdict.windows[1].g, verdict.windows[2].g);
  EXPECT_EQ(verdict.kind, "stretched or other");
}

TEST(Decay, SpikesDoNotHideAPowerLaw) {
  auto l = law(1024, [](double k) { return std::pow(k, -1.5); });
  l[0] = 1e4;
  l[1] = 5e3;
  l[2] = 4e3;
  const auto verdict = classify_decay(l, 0, 0);
  EXPECT_EQ(verdict.kind, "polynomial");
  EXPECT_FALSE(verdict.rank);
}

TEST(Decay, ClassifiesRealKernels) {
  const auto& min = random_min();
  const auto verdict = classify_decay(min.values, rounding_floor(min), 0);
  EXPECT_EQ(verdict.kind, "polynomial");
  ASSERT_GE(verdict.windows.size(), 2u);
  EXPECT_LT(std::abs(verdict.windows[1].g), 0.05);

  Draw draw(14);
  const auto x = draw.normals(1024);
  const auto smooth = test::kernel_eigen(x, gaussian_kernel);
  const auto fast = classify_decay(smooth.values, rounding_floor(smooth), 0);
  EXPECT_EQ(fast.kind, "exponential or faster");
  ASSERT_FALSE(fast.windows.empty());
  EXPECT_NEAR(fast.windows[0].g, 1.8, 0.3);

  const auto quadratic =
      test::kernel_eigen(x, [](double a, double b) { return (1 + a * b) * (1 + a * b); });
  const auto low = classify_decay(quadratic.values, rounding_floor(quadratic), 0);
  EXPECT_EQ(low.kind, "finite rank");
  ASSERT_TRUE(low.rank);
  EXPECT_EQ(*low.rank, 3u);
}

TEST(Decay, CentringsZeroIsNoFiniteRank) {
  auto l = law(256, [](double k) { return std::pow(k, -1.5); });
  l.back() = 1e-18;
  EXPECT_FALSE(finite_rank(l, 1e-14, 1));
  EXPECT_EQ(finite_rank(l, 1e-14, 0).value_or(0), 255u);
}

TEST(Decay, LocalSlopesUseOnlyWindowsAboveTheFloor) {
  const auto l = law(1024, [](double k) { return std::pow(k, -1.5); });
  const auto slopes = local_slopes(l, std::pow(150.0, -1.5));
  ASSERT_EQ(slopes.size(), 2u);
  EXPECT_NEAR(slopes[0].alpha, 1.5, 1e-9);
  EXPECT_EQ(slopes[1].high, 100);
}

}  // namespace
}  // namespace ntk::theory
