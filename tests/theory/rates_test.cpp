// Rates of the sequence model and of designs with known spectra. No noise is drawn: risks are
// exact.
#include <gtest/gtest.h>

#include <map>

#include "theory/filter.hpp"
#include "theory/rates.hpp"
#include "theory/stopping.hpp"
#include "theory/test_kernels.hpp"

namespace ntk::theory {
namespace {

using std::numbers::pi;

double ridge_oracle(const std::vector<double>& l, const std::vector<double>& g,
                    const std::vector<double>& noise) {
  double best = std::numeric_limits<double>::infinity();
  for (int i = 0; i <= 240; ++i) {
    const double nu = std::pow(10.0, 1 - 0.05 * i);
    best = std::min(best, in_sample_risk(ridge_residual(l, nu), g, noise).total());
  }
  return best;
}

struct Slopes {
  double descent, ridge, rwy, radius;
};

// l_k = k^-alpha, a_k^2 = c k^-(1 + 2 alpha r) with R = 1, n = 2^10 ... 2^16, variance 0.1.
Slopes sequence_model(double alpha, double r) {
  constexpr double noise = 0.1;
  std::vector<double> sizes, descent, ridge, rwy, radius;
  for (int log_n = 10; log_n <= 16; ++log_n) {
    const double n = std::pow(2.0, log_n);
    // Modes far beyond any oracle's reach are left out; their power is bias.
    const std::size_t modes = 4096;
    std::vector<double> l, g, nz(modes, noise / n);
    double norm = 0;
    for (std::size_t k = 1; k <= modes; ++k) {
      const auto x = static_cast<double>(k);
      l.push_back(std::pow(x, -alpha));
      g.push_back(std::pow(x, -(1 + 2 * alpha * r)));
      norm += g.back() / l.back();
    }
    for (double& v : g) v /= norm;
    std::vector<double> grid;
    for (int i = 0; i <= 300; ++i) grid.push_back(std::pow(10.0, -1 + 0.03 * i));
    const double best = test::oracle_stop(l, g, nz, grid);
    const double eta = rwy_stop(l, n, noise, 1.0);
    sizes.push_back(n);
    descent.push_back(in_sample_risk(flow_residual(l, best), g, nz).total());
    ridge.push_back(ridge_oracle(l, g, nz));
    rwy.push_back(in_sample_risk(flow_residual(l, eta), g, nz).total());
    radius.push_back(critical_radius2(l, n, noise, 1.0));
  }
  return {test::log_slope(sizes, descent), test::log_slope(sizes, ridge),
          test::log_slope(sizes, rwy), test::log_slope(sizes, radius)};
}

TEST(Rates, SequenceModel) {
  struct Row {
    double alpha, r;
    Slopes expected;
  };
  for (const auto& row :
       {Row{1.5, 0.5, {-.595, -.595, -.594, -.598}}, Row{2, 0.5, {-.658, -.659, -.657, -.661}},
        Row{2, 0.75, {-.742, -.741, -.767, -.661}}, Row{2, 1.5, {-.844, -.790, -.655, -.661}},
        Row{4, 0.5, {-.782, -.782, -.782, -.788}}}) {
    SCOPED_TRACE(testing::Message() << "alpha " << row.alpha << ", r " << row.r);
    const auto s = sequence_model(row.alpha, row.r);
    EXPECT_NEAR(s.descent, row.expected.descent, 0.03);
    EXPECT_NEAR(s.ridge, row.expected.ridge, 0.03);
    EXPECT_NEAR(s.rwy, row.expected.rwy, 0.03);
    EXPECT_NEAR(s.radius, row.expected.radius, 0.01);
    EXPECT_NEAR(s.radius, worst_case_exponent(row.alpha), 0.015);
  }
}

// Squared coefficients (u_k^T f)^2 / n of f on the grid x_i = i/n in the exact eigenvectors of
// min(x, y), u_k(i) ~ sin((2k - 1) i pi / (2n + 1)).
std::vector<double> grid_power(std::size_t n, double (*f)(double)) {
  const auto count = static_cast<double>(n);
  std::vector<double> values, power;
  for (std::size_t i = 1; i <= n; ++i) values.push_back(f(static_cast<double>(i) / count));
  for (std::size_t k = 1; k <= n; ++k) {
    const double angle = (2 * static_cast<double>(k) - 1) * pi / (2 * count + 1);
    const double turn = 2 * std::cos(angle);
    double last = 0, now = std::sin(angle), sum = 0;  // sin(i a) by its recurrence
    for (const double v : values) {
      sum += v * now;
      const double next = turn * now - last;
      last = now;
      now = next;
    }
    power.push_back(sum * sum * 4 / (2 * count + 1) / count);
  }
  return power;
}

// Risks of the oracle and of the rule, and e_n^2, on the grids of n points.
struct GridCurves {
  std::vector<double> oracle, rule, radius;
};
template <class Power>
GridCurves grid_curves(const std::vector<double>& sizes, double variance, Power power) {
  GridCurves curves;
  for (const double n : sizes) {
    const auto count = static_cast<std::size_t>(n);
    const auto l = test::min_grid_spectrum(count);
    const std::vector<double> g = power(count), noise(count, variance / n);
    const double best = test::oracle_stop(l, g, noise, eta_grid(l, 120));
    curves.oracle.push_back(in_sample_risk(flow_residual(l, best), g, noise).total());
    const double eta = rwy_stop(l, n, variance, 1);
    curves.rule.push_back(in_sample_risk(flow_residual(l, eta), g, noise).total());
    curves.radius.push_back(critical_radius2(l, n, variance, 1));
  }
  return curves;
}

const std::vector<double> all_sizes{256, 512, 1024, 2048, 4096, 8192, 16384};
double last_four(const std::vector<double>& risks) {
  return test::log_slope({all_sizes.begin() + 3, all_sizes.end()},
                         {risks.begin() + 3, risks.end()});
}

TEST(Rates, TheRulesOwnTargetIsNoTestOfItsExponent) {
  // f* = |x - 1/2| - 1/2 has source exponent 3/4: the oracle learns at -3/4, and the rule, whose
  // factor 2e inflates sigma, is still collapsing its bias. Only e_n^2 shows -2/3.
  std::map<std::size_t, std::vector<double>> powers;
  for (const double n : all_sizes) {
    const auto count = static_cast<std::size_t>(n);
    powers[count] = grid_power(count, [](double x) { return std::abs(x - 0.5) - 0.5; });
  }
  const auto power = [&](std::size_t n) { return powers.at(n); };
  const auto loud = grid_curves(all_sizes, 1, power), quiet = grid_curves(all_sizes, 0.01, power);
  EXPECT_NEAR(last_four(loud.oracle), -0.766, 0.005);
  EXPECT_NEAR(last_four(quiet.oracle), -0.750, 0.005);
  EXPECT_NEAR(test::log_slope(all_sizes, loud.rule), -0.91, 0.01);
  EXPECT_NEAR(last_four(loud.rule), -1.16, 0.01);
  EXPECT_NEAR(last_four(loud.radius), -0.667, 0.01);
}

TEST(Rates, ASingleEigenfunctionHasNoRateOfTheDecay) {
  const auto curves = grid_curves(all_sizes, 0.01, [](std::size_t n) {
    std::vector<double> g(n, 0.0);
    g[0] = test::min_grid_spectrum(n)[0];  // norm 1
    return g;
  });
  EXPECT_NEAR(test::log_slope(all_sizes, curves.oracle), -0.97, 0.01);
  EXPECT_NEAR(test::log_slope(all_sizes, curves.rule), -0.667, 0.01);
}

TEST(Rates, TargetJustInsideTheSpaceOnTheGrid) {
  const auto curves = grid_curves(all_sizes, 1, [](std::size_t n) {
    auto g = test::min_grid_spectrum(n);
    constexpr double norm = 10.584;  // sum of k^-1.1 without end: one function for all n
    for (std::size_t k = 1; k <= n; ++k) g[k - 1] *= std::pow(static_cast<double>(k), -1.1) / norm;
    return g;
  });
  EXPECT_NEAR(test::log_slope(all_sizes, curves.oracle), -0.666, 0.005);
  EXPECT_NEAR(test::log_slope(all_sizes, curves.rule), -0.637, 0.02);
  EXPECT_NEAR(last_four(curves.rule), -0.670, 0.005);
}

TEST(Rates, FiniteRankLearnsAtOneOverN) {
  // m sigma^2 / n once the bias is gone.
  const std::vector<double> l{0.9, 0.5, 0.2}, g{0.3, 0.3, 0.3};
  const double n = 1024, variance = 0.04;
  const std::vector<double> noise(3, variance / n);
  const double eta = test::oracle_stop(l, g, noise, eta_grid(l));
  EXPECT_NEAR(in_sample_risk(flow_residual(l, eta), g, noise).total() / (3 * variance / n), 1,
              0.01);
}

}  // namespace
}  // namespace ntk::theory
