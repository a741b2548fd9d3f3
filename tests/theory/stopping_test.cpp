// The Raskutti-Wainwright-Yu rule: deterministic checks without noise.
#include "theory/stopping.hpp"

#include <gtest/gtest.h>

#include "theory/filter.hpp"
#include "theory/test_kernels.hpp"

namespace ntk::theory {
namespace {

constexpr double e2 = std::numbers::e * std::numbers::e;

double bound(double n, double noise, double norm2) {
  return n * norm2 / (4 * e2 * noise);
}

// To the digits given; closed forms are closed_stops_test.cpp's.
TEST(Stopping, MinKernelOnAGrid) {
  const std::vector<double> sizes{256, 1024, 4096, 16384};
  const std::vector<double> unit{5.639, 14.56, 36.39, 91.45}, last_digit{1e-3, 1e-2, 1e-2, 1e-2};
  const std::vector<double> small{122.2, 309.0, 779.8, 1965}, small_digit{0.1, 0.1, 0.1, 1};
  std::vector<double> eta, small_eta;
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    const auto l = test::min_grid_spectrum(static_cast<std::size_t>(sizes[i]));
    eta.push_back(rwy_stop(l, sizes[i], 1.0, 1.0));
    small_eta.push_back(rwy_stop(l, sizes[i], 0.01, 1.0));
    EXPECT_NEAR(eta.back(), unit[i], 0.5 * last_digit[i]) << sizes[i];
    EXPECT_NEAR(small_eta.back(), small[i], 0.5 * small_digit[i]) << sizes[i];
  }
  for (const auto& of : {eta, small_eta}) {
    const double slope = test::log_slope(sizes, of);
    EXPECT_GT(slope, 0.6655);
    EXPECT_LT(slope, 0.6765);
  }
}

TEST(Stopping, FiniteRank) {
  std::vector<double> l(1024, 0.0);
  l[0] = 2;
  l[1] = 1;
  l[2] = 0.5;
  EXPECT_NEAR(critical_radius2(l, 1024, 0.04, 1.0), 3.464e-3, 5e-7);
  EXPECT_NEAR(rwy_stop(l, 1024, 0.04, 1.0) / (bound(1024, 0.04, 1) / 3), 1, 1e-12);
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

// |f_t - f*|_n^2 <= 4 R^2/(e eta_t) up to the stop, and 12 R^2 e_n^2 at it: the theorem's bounds
// (Theorem 1 a, b), in expectation, for targets of norm 1 in the space.
TEST(Stopping, BoundsHoldUpToTheStop) {
  const auto l = test::min_grid_spectrum(512);
  for (const double noise : {0.01, 0.3, 3.0}) {
    for (const double power : {-1.1, -3.0}) {
      std::vector<double> signal;
      double norm = 0;
      for (std::size_t k = 1; k <= 512; ++k) {
        const double part = std::pow(static_cast<double>(k), power);
        signal.push_back(l[k - 1] * part);
        norm += part;
      }
      for (double& g : signal) g /= norm;
      const std::vector<double> nz(512, noise / 512);
      const double eta = rwy_stop(l, 512, noise, 1);
      const auto risk = [&](double t) {
        return in_sample_risk(flow_residual(l, t), signal, nz).total();
      };
      for (const double part : {1e-3, 0.1, 0.5, 1.0}) {
        EXPECT_LE(risk(part * eta), 4 / (std::numbers::e * part * eta)) << noise << " " << part;
      }
      EXPECT_LE(risk(eta), 12 * critical_radius2(l, 512, noise, 1));
    }
  }
}

}  // namespace
}  // namespace ntk::theory
