// All stopping rules on one block.
#include "theory/rule_risks.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <numeric>

#include "theory/test_kernels.hpp"

namespace ntk::theory {
namespace {

using test::Draw;

double smooth_truth(double v) {
  return 2 * std::sin(2 * v) + v;
}

// n training and m test rows of the min kernel; the first n of the rows train.
struct Example {
  static constexpr std::size_t n = 200, m = 300;
  Block block;
  BlockLabels labels;
  std::vector<double> path;
};
Example make_example(double noise = 0.3) {
  Draw draw(53);
  Example e;
  const auto x = draw.uniforms(Example::n + Example::m);
  const auto kernel = test::kernel_matrix(x, test::min_kernel);
  Split split;
  for (std::size_t i = 0; i < x.size(); ++i) {
    (i < Example::n ? split.train : split.test).push_back(i);
  }
  e.block = make_block(kernel, x.size(), split, {}, 1);
  for (const auto i : split.train) {
    e.labels.labels.push_back(smooth_truth(x[i]) + noise * draw.normal());
    e.labels.train_reference.push_back(smooth_truth(x[i]));
  }
  for (const auto i : split.test) {
    e.labels.test_reference.push_back(smooth_truth(x[i]));
    e.labels.test_part.push_back(i % 7);
  }
  e.labels.noise_variances.assign(Example::n, noise * noise);
  e.labels.train_reference_variance.assign(Example::n, 0.0);
  e.labels.test_reference_variance.assign(Example::m, 0.0);
  const auto& modes = e.block.modes;
  e.path = eta_grid(std::span(modes.eigen.values).first(modes.modes), 150);
  return e;
}

std::map<std::string, RuleRisk> by_name(const RuleRisks& risks) {
  std::map<std::string, RuleRisk> result;
  for (const auto& r : risks.rules) result[r.rule] = r;
  return result;
}

TEST(RuleRisks, EveryRuleIsMeasuredAgainstTheOracleOfThePath) {
  const auto e = make_example();
  const auto risks = rule_risks(e.block, e.labels, e.path);
  auto rules = by_name(risks);
  ASSERT_EQ(rules.size(), rule_names().size());
  for (const auto& name : rule_names()) {
    const auto& r = rules.at(name.name);
    EXPECT_GE(r.risk, rules["oracle"].risk * (name.name == std::string("ridge_oracle") ? 0.8 : 1))
        << name.name;
    // Parts are the rows i % 7, each counted by its rows.
    ASSERT_EQ(r.parts.size(), 7u);
    double sum = 0;
    for (std::size_t p = 0; p < 7; ++p) {
      sum += r.parts[p] * static_cast<double>(
                              std::count(e.labels.test_part.begin(), e.labels.test_part.end(), p));
    }
    EXPECT_NEAR(sum / Example::m / r.risk, 1, 1e-10) << name.name;
    if (r.rule == "ridge_oracle") continue;
    EXPECT_GE(r.in_sample, rules["oracle_in_sample"].in_sample) << name.name;
    const std::vector<double> at{r.eta};
    EXPECT_NEAR(measured_risk(predict_along(e.block.modes, e.labels.labels, at),
                              e.labels.test_reference, e.labels.test_reference_variance) /
                    r.risk,
                1, 1e-9)
        << name.name;
  }
  EXPECT_NEAR(rules["ridge_oracle"].risk / rules["oracle"].risk, 1, 0.5);
  for (const char* good : {"gcv", "leave_one_out", "k_fold", "sure"}) {
    EXPECT_LT(rules[good].risk, 2 * rules["oracle"].risk) << good;
  }
  EXPECT_GT(rules["never"].risk, 5 * rules["oracle"].risk);
  EXPECT_GT(rules["null"].risk, 20 * rules["oracle"].risk);
  EXPECT_EQ(rules["null"].eta, 0);
  EXPECT_NEAR(risks.noise, 0.09, 1e-12);
}

TEST(RuleRisks, AHeadFittedOnTheLabelsLeavesOutWhatTakesTheirNoiseToBeIndependent) {
  auto e = make_example();
  auto all = by_name(rule_risks(e.block, e.labels, e.path));
  e.labels.head_fitted_on_labels = true;
  const auto rules = by_name(rule_risks(e.block, e.labels, e.path));
  for (const char* rule : {"discrepancy", "smoothed", "sure", "rwy"}) {
    EXPECT_TRUE(all.contains(rule)) << rule;
    EXPECT_FALSE(rules.contains(rule)) << rule;
    all.erase(rule);
  }
  ASSERT_EQ(rules.size(), all.size());
  for (const auto& [rule, risk] : rules) {
    if (rule.find("oracle") != rule.npos) continue;  // the best of the path and of all rules' times
    EXPECT_EQ(risk.eta, all.at(rule).eta) << rule;
    EXPECT_NEAR(risk.risk, all.at(rule).risk, 1e-9 * risk.risk) << rule;  // other products
  }
}

// In sample the null fit is the mean of the labels: its risk is known exactly.
TEST(RuleRisks, InSampleRiskOfTheMean) {
  const auto e = make_example();
  auto rules = by_name(rule_risks(e.block, e.labels, e.path));
  const double middle = mean(e.labels.labels);
  double expected = 0;
  for (const double f : e.labels.train_reference) expected += (f - middle) * (f - middle);
  EXPECT_NEAR(rules["null"].in_sample, expected / Example::n, 1e-10);
  // Never stopping gives the labels back: what is left is their noise.
  double noise = 0;
  for (std::size_t i = 0; i < Example::n; ++i) {
    noise += std::pow(e.labels.labels[i] - e.labels.train_reference[i], 2) / Example::n;
  }
  EXPECT_NEAR(rules["never"].in_sample, noise, 1e-8);
}

TEST(RuleRisks, WithoutNoiseOrReference) {
  auto e = make_example();
  e.labels.noise_variances.clear();
  e.labels.train_reference.clear();
  e.labels.train_reference_variance.clear();
  const auto risks = rule_risks(e.block, e.labels, e.path);
  EXPECT_NEAR(risks.noise, 0.09, 0.03);  // estimated
  const auto rules = by_name(risks);
  EXPECT_FALSE(rules.contains("oracle_in_sample"));
  EXPECT_TRUE(std::isnan(rules.at("gcv").in_sample));

  auto exact = make_example(0);
  exact.block.folds.clear();
  const auto few = by_name(rule_risks(exact.block, exact.labels, exact.path));
  for (const char* rule : {"rwy", "k_fold", "hold_out"}) EXPECT_FALSE(few.contains(rule)) << rule;
}

// Scaling the kernel scales the times and nothing else.
TEST(RuleRisks, ScaleOfTheKernel) {
  const auto plain = make_example();
  auto scaled = make_example();
  Draw draw(53);
  auto kernel = test::kernel_matrix(draw.uniforms(Example::n + Example::m), test::min_kernel);
  for (double& v : kernel) v *= 1e4;
  Split split;
  for (std::size_t i = 0; i < Example::n + Example::m; ++i) {
    (i < Example::n ? split.train : split.test).push_back(i);
  }
  scaled.block = make_block(kernel, Example::n + Example::m, split, {}, 1);
  for (double& eta : scaled.path) eta /= 1e4;
  auto a = by_name(rule_risks(plain.block, plain.labels, plain.path));
  auto b = by_name(rule_risks(scaled.block, scaled.labels, scaled.path));
  for (const auto& [name, rule] : a) {
    EXPECT_NEAR(b[name].risk / rule.risk, 1, 1e-6) << name;
    if (std::isfinite(rule.eta) && rule.eta > 0) {
      EXPECT_NEAR(b[name].eta * 1e4 / rule.eta, 1, 1e-6) << name;
    }
  }
}

TEST(SmoothedDiscrepancy, StopsWhereTheWeightedResidualMeetsItsNoise) {
  const auto e = make_example();
  const auto& modes = e.block.modes;
  const auto values = std::span(modes.eigen.values).first(modes.modes);
  const auto risks = rule_risks(e.block, e.labels, e.path);
  const double eta = smoothed_discrepancy_stop(values, risks.labels, 2);
  const auto residual = flow_residual(values, eta);
  double error = 0, noise = 0;
  for (std::size_t k = 0; k < values.size(); ++k) {
    const double w = std::cbrt(values[k]);
    error += w * residual[k] * residual[k] * risks.labels.power[k];
    noise += w * risks.labels.noise[k];
  }
  EXPECT_NEAR(error / noise, 1, 1e-9);
}

}  // namespace
}  // namespace ntk::theory
