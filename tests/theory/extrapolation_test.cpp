#include "theory/extrapolation.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "theory/cross_validation.hpp"
#include "theory/rule_risks.hpp"
#include "theory/test_kernels.hpp"

namespace ntk::theory {
namespace {

using test::Draw;

constexpr double label_noise = 0.3;

// n rows of features k^-1.3 whose target uses them all; `spread` > 0 scales whole rows, which the
// plug-in curve's formula does not know of: with their targets, or without.
enum class Scaled { with_target, without_target };
struct ScaledProblem {
  std::size_t n;
  std::vector<double> kernel, labels, reference;
};
ScaledProblem make_scaled(std::size_t n, std::uint64_t seed, double spread,
                          Scaled scaled = Scaled::with_target) {
  Draw draw(seed);
  constexpr std::size_t p = 1200;
  auto z = test::power_features(n, p, 1.3, draw);
  ScaledProblem problem{n, {}, {}, {}};
  for (std::size_t i = 0; i < n; ++i) {
    const double scale = std::exp(spread * draw.normal());
    double truth = 0;
    for (std::size_t k = 0; k < p; ++k) {
      const double target = z[i * p + k] * (k % 2 ? 1 : -1);
      z[i * p + k] *= scale;
      truth += scaled == Scaled::with_target ? scale * target : target;
    }
    problem.reference.push_back(truth);
    problem.labels.push_back(truth + std::sqrt(label_noise) * draw.normal());
  }
  problem.kernel = test::gram(z, n, p);
  return problem;
}

// The oracle's risk with rows 0 .. m - 1 as training set and the rest as test set.
double measured_at(const ScaledProblem& problem, std::size_t m) {
  Split split;
  BlockLabels labels;
  for (std::size_t i = 0; i < problem.n; ++i) {
    if (i < m) {
      split.train.push_back(i);
      labels.labels.push_back(problem.labels[i]);
    } else {
      split.test.push_back(i);
      labels.test_reference.push_back(problem.reference[i]);
    }
  }
  labels.noise_variances.assign(m, label_noise);
  labels.test_reference_variance.assign(labels.test_reference.size(), 0.0);
  const auto block = make_block(problem.kernel, problem.n, split, {}, 1, 0);
  const auto values = std::span(block.modes.eigen.values).first(block.modes.modes);
  return rule_risks(block, labels, eta_grid(values, 100)).rules.front().risk;
}

CorrectedRisk corrected_at(const ScaledProblem& problem, std::size_t m) {
  std::vector<std::size_t> rows(m);
  std::iota(rows.begin(), rows.end(), std::size_t{0});
  const std::vector<double> labels(problem.labels.begin(),
                                   problem.labels.begin() + static_cast<std::ptrdiff_t>(m));
  const auto kernel = sub_matrix(problem.kernel, problem.n, rows, rows);
  const auto result = corrected_risk(kernel, held_out_modes(kernel, {}, m, 0), labels,
                                     std::vector<double>(m, label_noise), {}, 3);
  EXPECT_TRUE(result);
  return result.value_or(CorrectedRisk{});
}

HeldOutModes modes_of_first(const ScaledProblem& problem, std::size_t m) {
  std::vector<std::size_t> rows(m);
  std::iota(rows.begin(), rows.end(), std::size_t{0});
  return held_out_modes(sub_matrix(problem.kernel, problem.n, rows, rows), {}, m, 0);
}

// Where targets do not grow with their rows, rows of little leverage have errors that the mean
// leverage makes too much of.
TEST(LeaveOneOutCurve, TakesRowsByTheirOwnLeverage) {
  constexpr std::size_t m = 256;
  constexpr int draws = 6;
  double plug_in = 0, left_out = 0, even_plug_in = 0, even_left_out = 0;
  const std::vector<double> variances(m, label_noise), at{m};
  for (std::uint64_t seed = 0; seed < draws; ++seed) {
    for (const double spread : {0.0, 0.4}) {
      const auto problem = make_scaled(700, 40 + seed, spread, Scaled::without_target);
      const std::span labels = std::span(problem.labels).first(m);
      const auto both = both_curves(modes_of_first(problem, m), labels, variances, at);
      const double measured = measured_at(problem, m);
      (spread > 0 ? plug_in : even_plug_in) += (both.plug_in[0].risk / measured - 1) / draws;
      (spread > 0 ? left_out : even_left_out) +=
          (both.leave_one_out[0].risk / measured - 1) / draws;
    }
  }
  std::printf("%g %g %g %g\n", plug_in, left_out, even_plug_in, even_left_out);
  EXPECT_GT(plug_in, 0.2);
  EXPECT_LT(std::abs(left_out), 0.1);
  EXPECT_LT(std::abs(even_left_out - even_plug_in), 0.05);
}

TEST(LeaveOneOutCurve, IsTheLeastLeaveOneOutErrorAtItsOwnRows) {
  const auto problem = make_scaled(200, 3, 0.3);
  const auto modes = modes_of_first(problem, 200);
  const std::vector<double> variances(200, label_noise), at{200.0};
  const auto point = both_curves(modes, problem.labels, variances, at).leave_one_out[0];
  std::vector<double> grid;
  for (int i = 0; i < 400; ++i) grid.push_back(std::exp(-8 + 0.05 * i) / modes.eigen.values[0]);
  const auto errors = leave_one_out(modes, problem.labels, grid, Path::ridge);
  const double least = *std::min_element(errors.begin(), errors.end());
  EXPECT_GE(point.risk + label_noise, least * (1 - 1e-4));
  EXPECT_LE(point.risk + label_noise, least * 1.03);
}

TEST(CorrectedRisk, CoversWhatDisjointRowsMeasure) {
  for (const double spread : {0.0, 0.5}) {
    int covered = 0;
    double off = 0, plug_in_off = 0;
    for (std::uint64_t seed = 0; seed < 6; ++seed) {
      const auto problem = make_scaled(700, 100 + seed, spread);
      const auto corrected = corrected_at(problem, 256);
      const double measured = measured_at(problem, 256);
      covered += corrected.low() <= measured && measured <= corrected.high();
      off += (corrected.risk / measured - 1) / 6;
      plug_in_off += (corrected.plug_in[3].risk / measured - 1) / 6;
      EXPECT_LT(corrected.log_error, 0.6);
      ASSERT_EQ(corrected.measured.size(), 3u);
      EXPECT_LT(corrected.measured[2].risk, corrected.measured[0].risk);
    }
    EXPECT_GE(covered, 4) << spread;
    EXPECT_LT(std::abs(off), 0.25) << spread;
    if (spread > 0) {
      EXPECT_LT(plug_in_off, -0.33);  // what there is to correct
    }
  }
}

TEST(CorrectedRisk, LooksAtNothingButItsRows) {
  const auto problem = make_scaled(300, 7, 0);
  auto other = problem;
  for (std::size_t i = 200; i < 300; ++i) other.labels[i] += 10;
  EXPECT_EQ(corrected_at(problem, 200).risk, corrected_at(other, 200).risk);
}

TEST(CorrectedRisk, NothingWithoutSignalOrRoom) {
  const auto whole = [](const ScaledProblem& p) { return held_out_modes(p.kernel, {}, p.n, 0); };
  auto problem = make_scaled(200, 8, 0);
  Draw draw(9);
  for (double& y : problem.labels) y = std::sqrt(label_noise) * draw.normal();
  const std::vector<double> variances(200, label_noise);
  EXPECT_FALSE(corrected_risk(problem.kernel, whole(problem), problem.labels, variances, {}, 1));
  problem = make_scaled(200, 8, 0);
  EXPECT_TRUE(corrected_risk(problem.kernel, whole(problem), problem.labels, variances, {}, 1));
  const std::vector<std::int64_t> one_group(200, 4);
  EXPECT_FALSE(
      corrected_risk(problem.kernel, whole(problem), problem.labels, variances, one_group, 1));
}

}  // namespace
}  // namespace ntk::theory
