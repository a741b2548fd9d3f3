// Gradient descent in modes against gradient descent itself, and the training-data rules.
#include "theory/filter.hpp"

#include <gtest/gtest.h>

#include <numeric>

#include "theory/test_kernels.hpp"

namespace ntk::theory {
namespace {

using test::Draw;

struct Problem {
  SymmetricEigen eigen;
  std::vector<double> kernel;  // K/n
  std::vector<double> truth, y;
};

Problem make_problem(std::size_t n, double noise, std::uint64_t seed) {
  Draw draw(seed);
  const auto x = draw.uniforms(n);
  Problem p;
  p.kernel = test::kernel_matrix(x, test::min_kernel);
  for (double& v : p.kernel) v /= static_cast<double>(n);
  p.eigen = eigen_symmetric(p.kernel, n);
  for (const double v : x) {
    p.truth.push_back(std::sqrt(2) * std::sin(std::numbers::pi * v / 2) + v);
    p.y.push_back(p.truth.back() + std::sqrt(noise) * draw.normal());
  }
  return p;
}

LabelModes modes_of(const Problem& p, const std::vector<double>& y, double noise) {
  const auto u = project(p.eigen, y);
  const double square = std::inner_product(y.begin(), y.end(), y.begin(), 0.0);
  const std::vector<double> v(y.size(), noise);
  return label_modes(u, square, project_variances(p.eigen, v), noise, static_cast<double>(y.size()),
                     0, y.size());
}

// The residual filter of `steps` steps of gradient descent.
std::vector<double> descent_residual(const std::vector<double>& eigenvalues, double step,
                                     int steps) {
  std::vector<double> residual;
  for (const double l : eigenvalues) residual.push_back(std::pow(1 - step * l, steps));
  return residual;
}

TEST(Filter, DiscreteDescentEqualsTheFilter) {
  const std::size_t n = 128;
  const auto p = make_problem(n, 0.04, 21);
  const double step = 1.9 / p.eigen.values[0];
  const int steps = 300;
  std::vector<double> f(n, 0.0);
  for (int t = 0; t < steps; ++t) {
    std::vector<double> r(n);
    for (std::size_t i = 0; i < n; ++i) r[i] = p.y[i] - f[i];
    for (std::size_t i = 0; i < n; ++i) {
      f[i] += step * std::inner_product(r.begin(), r.end(),
                                        p.kernel.begin() + static_cast<std::ptrdiff_t>(i * n), 0.0);
    }
  }
  const auto s = descent_residual(p.eigen.values, step, steps);
  const auto u = project(p.eigen, p.y);
  double largest = 0, rss = 0;
  for (std::size_t i = 0; i < n; ++i) {
    double value = 0;
    for (std::size_t k = 0; k < n; ++k) value += p.eigen.vectors[k * n + i] * (1 - s[k]) * u[k];
    largest = std::max(largest, std::abs(value - f[i]));
    rss += (p.y[i] - f[i]) * (p.y[i] - f[i]);
  }
  EXPECT_LT(largest, 1e-10);
  EXPECT_NEAR(training_error(s, modes_of(p, p.y, 0.04)), rss / static_cast<double>(n), 1e-10);
}

TEST(Filter, SmallStepsApproachTheFlow) {
  const auto l = test::min_grid_spectrum(64);
  const auto flow = flow_residual(l, 20);
  const auto steps = descent_residual(l, 20.0 / 200000, 200000);
  for (std::size_t k = 0; k < l.size(); ++k) EXPECT_NEAR(flow[k], steps[k], 1e-4);
}

TEST(Filter, BracketsHold) {
  const auto l = test::min_grid_spectrum(256);
  for (const double eta : {0.1, 3.0, 200.0, 1e5}) {
    const auto s = flow_residual(l, eta);
    const auto ridge = ridge_residual(l, 1 / eta);
    for (std::size_t k = 0; k < l.size(); ++k) {
      const double cap = std::min(1.0, eta * l[k]);
      for (const double fit : {1 - s[k], 1 - ridge[k]}) {
        EXPECT_LE(fit, cap * (1 + 1e-12));
        EXPECT_GE(fit, cap / 2 * (1 - 1e-12));
      }
      EXPECT_LE(s[k] * s[k], 1 / (2 * std::numbers::e * eta * l[k]) * (1 + 1e-12));
    }
  }
  EXPECT_NEAR(degrees_of_freedom(flow_residual(l, never_stop)), 256, 1e-12);
  EXPECT_NEAR(degrees_of_freedom(flow_residual(l, 0)), 0, 1e-12);
}

TEST(Filter, PowerLawBiasAndVarianceHaveTheirLimits) {
  // variance = (s^2/n)(A eta)^{1/a} Gamma(1-1/a)(2-2^{1/a}); bias = D (2 A eta)^{-2r} Gamma(2r)/a.
  const double a = 2, r = 0.75, scale = 0.8, noise = 0.3, n = 1e6, eta = 4e4;
  std::vector<double> l, g, nz;
  for (int k = 1; k <= 1000000; ++k) {
    l.push_back(scale * std::pow(k, -a));
    g.push_back(std::pow(k, -(1 + 2 * a * r)));
    nz.push_back(noise / n);
  }
  const auto risk = in_sample_risk(flow_residual(l, eta), g, nz);
  EXPECT_NEAR(risk.variance / (noise / n * std::pow(scale * eta, 1 / a) * std::tgamma(1 - 1 / a) *
                               (2 - std::pow(2, 1 / a))),
              1, 0.01);
  EXPECT_NEAR(risk.bias / (std::pow(2 * scale * eta, -2 * r) * std::tgamma(2 * r) / a), 1, 0.01);
}

TEST(Filter, SureIsUnbiasedForTheRisk) {
  const std::size_t n = 96;
  const double noise = 0.25;
  const auto p = make_problem(n, 0, 22);
  const auto signal = modes_of(p, p.truth, noise);
  const auto s = flow_residual(p.eigen.values, 30);
  const double risk = in_sample_risk(s, signal.power, signal.noise).total();
  Draw draw(23);
  double sure = 0;
  const int draws = 4000;
  for (int d = 0; d < draws; ++d) {
    auto y = p.truth;
    for (double& v : y) v += std::sqrt(noise) * draw.normal();
    sure += sure_score(s, modes_of(p, y, noise)) / draws;
  }
  EXPECT_NEAR(sure, risk + noise, 0.004);
}

TEST(Filter, RulesComeCloseToTheOracle) {
  const double noise = 0.04;
  std::vector<double> gcv, sure, best, estimated;
  for (std::uint64_t seed = 30; seed < 40; ++seed) {
    const auto p = make_problem(512, noise, seed);
    const auto count = p.eigen.values.size();
    const auto grid = eta_grid(p.eigen.values);
    const auto labels = modes_of(p, p.y, noise), signal = modes_of(p, p.truth, noise);
    // The loss actually made, not its expectation.
    const auto u = project(p.eigen, p.y), g = project(p.eigen, p.truth);
    const auto loss = [&](double eta) {
      const auto s = flow_residual(p.eigen.values, eta);
      double sum = 0;
      for (std::size_t k = 0; k < count; ++k) {
        sum += std::pow((1 - s[k]) * u[k] - g[k], 2) / static_cast<double>(count);
      }
      return sum;
    };
    best.push_back(loss(test::oracle_stop(p.eigen.values, signal.power, signal.noise, grid)));
    const double eta = gcv_stop(p.eigen.values, labels, grid);
    gcv.push_back(loss(eta));
    sure.push_back(loss(sure_stop(p.eigen.values, labels, grid)));
    estimated.push_back(effective_noise(p.eigen.values, labels, eta));
  }
  EXPECT_LT(mean(gcv) / mean(best), 1.4);
  EXPECT_LT(mean(sure) / mean(best), 1.4);
  EXPECT_NEAR(mean(estimated), noise, 0.002);
}

TEST(Filter, GcvIsNotFooledByTheLastMode) {
  // Labels without power in the last mode: at interpolation RSS/(n - df)^2 goes to 0.
  const auto p = make_problem(256, 0.1, 27);
  auto labels = modes_of(p, p.y, 0.1);
  labels.power.back() = 1e-12;
  const auto grid = eta_grid(p.eigen.values);
  EXPECT_LT(gcv_score(flow_residual(p.eigen.values, grid.back()), labels), 0.01);
  const double eta = gcv_stop(p.eigen.values, labels, grid);
  EXPECT_NEAR(effective_noise(p.eigen.values, labels, eta), 0.1, 0.03);
}

TEST(Filter, DiscrepancyStopsWhereTheResidualMeetsTheNoise) {
  const auto p = make_problem(200, 0.1, 24);
  const auto labels = modes_of(p, p.y, 0.1);
  const double eta = discrepancy_stop(p.eigen.values, labels, 0.1);
  EXPECT_NEAR(training_error(flow_residual(p.eigen.values, eta), labels), 0.1, 1e-9);
  EXPECT_EQ(discrepancy_stop(p.eigen.values, labels, 1e9), 0);
  auto outside = labels;
  outside.outside_power = 1;
  EXPECT_TRUE(std::isinf(discrepancy_stop(p.eigen.values, outside, 0.1)));
}

TEST(Filter, NormOfAFunctionInTheSpaceIsRecovered) {
  // f* = sum_j c_j k(x_j, .) has squared norm c^T K c; without noise GCV goes for interpolation.
  const std::size_t n = 128;
  auto p = make_problem(n, 0, 25);
  Draw draw(26);
  const auto c = draw.normals(n);
  double expected = 0;
  std::vector<double> f(n, 0.0);
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t j = 0; j < n; ++j) f[i] += static_cast<double>(n) * p.kernel[i * n + j] * c[j];
    expected += f[i] * c[i];
  }
  const auto labels = modes_of(p, f, 0);
  EXPECT_NEAR(rkhs_norm2(p.eigen.values, labels, never_stop) / expected, 1, 1e-8);
  // Scale: K -> sK makes the norm R^2 / s.
  auto scaled = p.eigen.values;
  for (double& l : scaled) l *= 50;
  EXPECT_NEAR(rkhs_norm2(scaled, labels, 0.2) * 50 / rkhs_norm2(p.eigen.values, labels, 10), 1,
              1e-10);
}

}  // namespace
}  // namespace ntk::theory
