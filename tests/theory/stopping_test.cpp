// The Raskutti-Wainwright-Yu rule: deterministic checks without noise.
#include "theory/stopping.hpp"

#include <gtest/gtest.h>

#include "theory/test_kernels.hpp"

namespace ntk::theory {
namespace {

using std::numbers::pi;
constexpr double e2 = std::numbers::e * std::numbers::e;

// Closed forms of eta_T: for l_k = A k^-alpha with alpha > 1, for rank m once 1/eta < l_m, for l_k
// = A exp(-c k) by fixed point. `bound` is n R^2 / (4 e^2 sigma^2).
double bound(double n, double noise, double norm2) {
  return n * norm2 / (4 * e2 * noise);
}
double polynomial_stop(double scale, double alpha, double bound) {
  return std::pow(bound * (alpha - 1) / (alpha * std::pow(scale, 1 / alpha)), alpha / (alpha + 1));
}
double exponential_stop(double scale, double decay, double bound) {
  double eta = bound * decay;
  for (int i = 0; i < 200; ++i) {
    eta = bound * decay / (std::max(0.0, std::log(scale * eta)) + 1);
  }
  return eta;
}

TEST(Stopping, MinKernelOnAGrid) {
  const std::vector<double> sizes{256, 1024, 4096, 16384};
  const std::vector<double> unit{5.639, 14.56, 36.39, 91.45};
  const std::vector<double> small{122.2, 309.0, 779.8, 1965};
  const std::vector<double> closed{5.699, 14.36, 36.19, 91.19};
  std::vector<double> eta;
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    const auto l = test::min_grid_spectrum(static_cast<std::size_t>(sizes[i]));
    eta.push_back(rwy_stop(l, sizes[i], 1.0, 1.0));
    EXPECT_NEAR(eta.back() / unit[i], 1, 4e-4) << sizes[i];
    EXPECT_NEAR(rwy_stop(l, sizes[i], 0.01, 1.0) / small[i], 1, 4e-4) << sizes[i];
    const double formula = polynomial_stop(1 / (pi * pi), 2, bound(sizes[i], 1, 1));
    EXPECT_NEAR(formula / closed[i], 1, 2e-4) << sizes[i];
    EXPECT_NEAR(formula, std::pow(sizes[i] * pi / (8 * e2), 2.0 / 3), 1e-9 * formula);
    EXPECT_NEAR(eta.back() / formula, 1, 0.03) << sizes[i];
  }
  const double slope = test::log_slope(sizes, eta);
  EXPECT_GT(slope, 0.660);
  EXPECT_LT(slope, 0.676);
}

TEST(Stopping, FiniteRank) {
  std::vector<double> l(1024, 0.0);
  l[0] = 2;
  l[1] = 1;
  l[2] = 0.5;
  EXPECT_NEAR(critical_radius2(l, 1024, 0.04, 1.0), 3.464e-3, 5e-7);
  EXPECT_NEAR(rwy_stop(l, 1024, 0.04, 1.0) / (bound(1024, 0.04, 1) / 3), 1, 1e-12);
}

TEST(Stopping, PolynomialAndExponentialClosedForms) {
  std::vector<double> power, decay;
  for (int k = 1; k <= 20000; ++k) {
    power.push_back(3 * std::pow(k, -1.7));
    decay.push_back(2 * std::exp(-0.05 * k));
  }
  EXPECT_NEAR(rwy_stop(power, 2e5, 0.1, 1.5) / polynomial_stop(3, 1.7, bound(2e5, 0.1, 1.5)), 1,
              0.02);
  EXPECT_NEAR(rwy_stop(decay, 1e6, 0.01, 1.5) / exponential_stop(2, 0.05, bound(1e6, 0.01, 1.5)), 1,
              0.02);
}

TEST(Stopping, DoesNotDependOnTheScaleOfTheKernel) {
  const auto l = test::min_grid_spectrum(512);
  const double eta = rwy_stop(l, 512, 0.3, 2.0);
  for (const double s : {1e-4, 37.0, 1e7}) {
    auto scaled = l;
    for (double& v : scaled) v *= s;
    EXPECT_NEAR(rwy_stop(scaled, 512, 0.3, 2.0 / s) * s / eta, 1, 1e-12) << s;
    EXPECT_NEAR(critical_radius2(scaled, 512, 0.3, 2.0 / s) / critical_radius2(l, 512, 0.3, 2.0), 1,
                1e-12);
  }
}

TEST(Stopping, EtaIsTheLastThatKeepsTheInequality) {
  const auto l = test::min_grid_spectrum(300);
  const double n = 300, noise = 0.2, norm2 = 1.3;
  const auto kept = [&](double eta) {
    double sum = 0;
    for (const double v : l) sum += std::min(v, 1 / eta);
    return sum <= bound(n, noise, norm2) / (eta * eta);
  };
  const double eta = rwy_stop(l, n, noise, norm2);
  EXPECT_TRUE(kept(eta * (1 - 1e-12)));
  EXPECT_FALSE(kept(eta * (1 + 1e-12)));
}

TEST(Stopping, CriticalRadiusSatisfiesItsDefinition) {
  const auto l = test::min_grid_spectrum(128);
  const double noise = 0.5, norm2 = 2;
  const double e_n2 = critical_radius2(l, 128, noise, norm2) / norm2;
  double sum = 0;
  for (const double v : l) sum += std::min(v, e_n2);
  EXPECT_NEAR(std::sqrt(sum / 128),
              e_n2 * std::sqrt(norm2) / (2 * std::numbers::e * std::sqrt(noise)), 1e-12);
}

}  // namespace
}  // namespace ntk::theory
