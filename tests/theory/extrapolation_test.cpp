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

// n rows of power-law features whose target uses them all. Whole rows differ in scale, by a factor
// exp(spread z), which the plug-in curve's formula does not know of; targets by that to the power
// `target_power`.
struct Shape {
  double exponent = 1.3, noise = label_noise, spread = 0, target_power = 1;
};
struct ScaledProblem {
  std::size_t n;
  std::vector<double> kernel, labels, reference;
};
ScaledProblem make_scaled(std::size_t n, std::uint64_t seed, const Shape& shape) {
  Draw draw(seed);
  constexpr std::size_t p = 1200;
  auto z = test::power_features(n, p, shape.exponent, draw);
  ScaledProblem problem{n, {}, {}, {}};
  for (std::size_t i = 0; i < n; ++i) {
    const double scale = std::exp(shape.spread * draw.normal());
    double truth = 0;
    for (std::size_t k = 0; k < p; ++k) {
      truth += z[i * p + k] * (k % 2 ? 1 : -1);
      z[i * p + k] *= scale;
    }
    truth *= std::pow(scale, shape.target_power);
    problem.reference.push_back(truth);
    problem.labels.push_back(truth + std::sqrt(shape.noise) * draw.normal());
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
                                     std::vector<double>(m, label_noise), {}, false, 3);
  EXPECT_TRUE(result);
  return result.value_or(CorrectedRisk{});
}

HeldOutModes modes_of_first(const ScaledProblem& problem, std::size_t m) {
  std::vector<std::size_t> rows(m);
  std::iota(rows.begin(), rows.end(), std::size_t{0});
  return held_out_modes(sub_matrix(problem.kernel, problem.n, rows, rows), {}, m, 0);
}

// Where targets are not smaller where their rows are, rows of little leverage have errors that the
// mean leverage makes too much of.
TEST(LeaveOneOutCurve, TakesRowsByTheirOwnLeverage) {
  constexpr std::size_t m = 256;
  constexpr int draws = 6;
  const auto off = [](const Shape& shape) {
    double plug_in = 0, left_out = 0;
    const std::vector<double> variances(m, shape.noise), at{m};
    for (std::uint64_t seed = 0; seed < draws; ++seed) {
      const auto problem = make_scaled(700, 40 + seed, shape);
      const std::span labels = std::span(problem.labels).first(m);
      const auto both = both_curves(modes_of_first(problem, m), labels, variances, at);
      const double measured = measured_at(problem, m);
      plug_in += (both.plug_in[0].risk / measured - 1) / draws;
      left_out += (both.leave_one_out[0].risk / measured - 1) / draws;
    }
    return std::pair(plug_in, left_out);
  };
  const auto [even_plug_in, even] = off({});
  EXPECT_NEAR(even_plug_in, even, 0.05);
  const auto [plug_in, left_out] =
      off({.exponent = 1.1, .noise = 0.05, .spread = 0.4, .target_power = -1});
  EXPECT_GT(plug_in - left_out, 0.1);
  EXPECT_LT(std::abs(left_out), 0.1);
}

TEST(LeaveOneOutCurve, IsTheLeastLeaveOneOutErrorAtItsOwnRows) {
  const auto problem = make_scaled(200, 3, {.spread = 0.3});
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
      const auto problem = make_scaled(700, 100 + seed, {.spread = spread});
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
  const auto problem = make_scaled(300, 7, {});
  auto other = problem;
  for (std::size_t i = 200; i < 300; ++i) other.labels[i] += 10;
  EXPECT_EQ(corrected_at(problem, 200).risk, corrected_at(other, 200).risk);
}

TEST(CorrectedRisk, NothingWithoutSignalOrRoom) {
  const auto whole = [](const ScaledProblem& p) { return held_out_modes(p.kernel, {}, p.n, 0); };
  auto problem = make_scaled(200, 8, {});
  Draw draw(9);
  for (double& y : problem.labels) y = std::sqrt(label_noise) * draw.normal();
  const std::vector<double> variances(200, label_noise);
  EXPECT_FALSE(
      corrected_risk(problem.kernel, whole(problem), problem.labels, variances, {}, false, 1));
  problem = make_scaled(200, 8, {});
  EXPECT_TRUE(
      corrected_risk(problem.kernel, whole(problem), problem.labels, variances, {}, false, 1));
  const std::vector<std::int64_t> one_group(200, 4);
  EXPECT_FALSE(corrected_risk(problem.kernel, whole(problem), problem.labels, variances, one_group,
                              false, 1));
}

// Rows of a group are much alike: small training sets of whole groups know less than as many rows
// from everywhere.
TEST(CorrectedRisk, DrawsSingleRowsWhereTheStudyDoes) {
  constexpr std::size_t n = 320, size = 16;
  auto problem = make_scaled(n, 12, {});
  std::vector<std::int64_t> group;
  for (std::size_t i = 0; i < n; ++i) group.push_back(static_cast<std::int64_t>(i / size));
  // The first row of each group stands for its rows, but for a third of their own.
  const auto mixed = [&](const std::vector<double>& own, std::size_t i) {
    return std::sqrt(2.0 / 3) * own[i - i % size] + std::sqrt(1.0 / 3) * own[i];
  };
  const auto kernel = problem.kernel;
  const auto entry = [&](std::size_t i, std::size_t j) { return kernel[i * n + j]; };
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t j = 0; j < n; ++j) {
      const std::size_t a = i - i % size, b = j - j % size;
      problem.kernel[i * n + j] =
          (2 * entry(a, b) + entry(i, j) + std::sqrt(2.0) * (entry(a, j) + entry(i, b))) / 3;
    }
  }
  Draw draw(13);
  for (std::size_t i = 0; i < n; ++i) {
    problem.labels[i] = mixed(problem.reference, i) + std::sqrt(label_noise) * draw.normal();
  }
  const auto modes = held_out_modes(problem.kernel, {}, n, 0);
  const std::vector<double> variances(n, label_noise);
  const auto whole =
      corrected_risk(problem.kernel, modes, problem.labels, variances, group, false, 1);
  const auto single =
      corrected_risk(problem.kernel, modes, problem.labels, variances, group, true, 1);
  ASSERT_TRUE(whole && single);
  EXPECT_LT(single->measured[0].risk, 0.9 * whole->measured[0].risk);
}

}  // namespace
}  // namespace ntk::theory