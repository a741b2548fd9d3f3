// The risk without stopping: predicted from one kernel, measured by the learning study's machinery
// on fresh rows of Gaussian features.
#include <gtest/gtest.h>

#include <numeric>

#include "theory/held_out.hpp"
#include "theory/learning_curve.hpp"
#include "theory/rule_risks.hpp"
#include "theory/test_kernels.hpp"

namespace ntk::theory {
namespace {

using test::Draw;

// Features k^-alpha (k <= p), a target that uses them all, labels of known noise.
struct FeatureDesign {
  std::size_t p;
  double alpha, noise;

  // Rows of features with their noise-free labels.
  struct Sample {
    std::vector<double> kernel, truth, labels;
  };
  Sample draw(std::size_t n, Draw& draw) const {
    const auto z = test::power_features(n, p, alpha, draw);
    Sample s{test::gram(z, n, p), {}, {}};
    for (std::size_t i = 0; i < n; ++i) {
      double truth = 0;
      for (std::size_t k = 0; k < p; ++k) truth += z[i * p + k] * (k % 3 ? 1 : -1);
      s.truth.push_back(truth);
      s.labels.push_back(truth + std::sqrt(noise) * draw.normal());
    }
    return s;
  }
};

std::vector<LearningPoint> predicted(const FeatureDesign& design, std::size_t rows,
                                     const std::vector<double>& sizes, Draw& draw) {
  const auto s = design.draw(rows, draw);
  const auto modes = held_out_modes(s.kernel, {}, rows, 0);
  const auto values = std::span(modes.eigen.values).first(modes.modes);
  const auto y = centred(s.labels);
  const std::vector<double> v(rows, design.noise);
  const auto n = static_cast<double>(rows);
  const auto labels =
      label_modes(project(modes.eigen, y), std::inner_product(y.begin(), y.end(), y.begin(), 0.0),
                  project_variances(modes.eigen, v), design.noise, n, 1, modes.modes);
  return never_stop_curve(values, ridge_curve(values, n), labels, design.noise, sizes);
}

// Mean risk of the rule "never" over fresh training sets of n rows and as many test rows.
double measured_never(const FeatureDesign& design, std::size_t n, std::size_t draws, Draw& draw) {
  double sum = 0;
  for (std::size_t d = 0; d < draws; ++d) {
    const auto s = design.draw(2 * n, draw);
    Split split;
    for (std::size_t i = 0; i < 2 * n; ++i) (i < n ? split.train : split.test).push_back(i);
    const auto block = make_block(s.kernel, 2 * n, split, {}, d, 0);
    BlockLabels labels;
    labels.labels = at_rows(s.labels, split.train);
    labels.noise_variances.assign(n, design.noise);
    labels.test_reference = at_rows(s.truth, split.test);
    labels.test_reference_variance.assign(n, 0.0);
    const auto values = std::span(block.modes.eigen.values).first(block.modes.modes);
    for (const auto& rule : rule_risks(block, labels, eta_grid(values, 5)).rules) {
      if (rule.rule == "never") sum += rule.risk / static_cast<double>(draws);
    }
  }
  return sum;
}

TEST(NeverStop, InterpolationOfManyFeatures) {
  const FeatureDesign design{1200, 1.3, 0.3};
  Draw draw(61);
  const std::vector<double> sizes{64, 128, 200};
  const auto curve = predicted(design, 400, sizes, draw);
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    const auto n = static_cast<std::size_t>(sizes[i]);
    const double measured = measured_never(design, n, 1500 / n, draw);
    ASSERT_TRUE(curve[i].usable()) << n;
    EXPECT_NEAR(curve[i].risk, measured, 0.06 * measured + 2 * curve[i].standard_error) << n;
    EXPECT_LT(curve[i].standard_error, 0.15 * measured) << n;
  }
}

// Fewer features than samples: least squares, whose risk is noise p/(n - p - 2) with the
// intercept's share, exactly (Gaussian design).
TEST(NeverStop, LeastSquaresOfFewFeatures) {
  const FeatureDesign design{20, 1, 0.5};
  Draw draw(62);
  const std::vector<double> sizes{100, 200, 400};
  const auto curve = predicted(design, 400, sizes, draw);
  for (const auto& point : curve) {
    const double exact = design.noise * 20 / (point.n - 22);
    EXPECT_NEAR(point.risk, exact, 0.02 * exact + 2 * point.standard_error) << point.n;
    EXPECT_LT(point.standard_error, 0.05) << point.n;
  }
}

TEST(NeverStop, IsNeverBelowTheBestRidge) {
  const FeatureDesign design{600, 1.5, 0.2};
  Draw draw(63);
  const auto s = design.draw(200, draw);
  const auto modes = held_out_modes(s.kernel, {}, 200, 0);
  const auto values = std::span(modes.eigen.values).first(modes.modes);
  const auto y = centred(s.labels);
  const std::vector<double> v(200, design.noise), sizes{25, 50, 100};
  const auto labels =
      label_modes(project(modes.eigen, y), std::inner_product(y.begin(), y.end(), y.begin(), 0.0),
                  project_variances(modes.eigen, v), design.noise, 200, 1, modes.modes);
  const auto curve = ridge_curve(values, 200);
  const auto best = plug_in_curve(values, curve, labels, design.noise, sizes);
  const auto never = never_stop_curve(values, curve, labels, design.noise, sizes);
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_GE(never[i].risk + never[i].standard_error,
              best[i].risk + best[i].standard_error - 1e-9);
  }
  EXPECT_FALSE(
      never_stop_curve(values, curve, labels, design.noise, std::vector<double>{200})[0].usable());
}

}  // namespace
}  // namespace ntk::theory
