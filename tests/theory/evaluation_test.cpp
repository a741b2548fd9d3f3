// Evaluation sets: the same rows must say the same, whether they come as test rows or as a set.
#include "theory/evaluation.hpp"

#include <gtest/gtest.h>

#include <cblas.h>

#include <cmath>
#include <numeric>

#include "theory/learning_study.hpp"
#include "theory/resampling.hpp"
#include "theory/summary.hpp"
#include "theory/test_kernels.hpp"

namespace ntk::theory {
namespace {

using nlohmann::json;

constexpr double evaluation_noise = 0.1;

// Gaussian features with a target that needs them all; groups of four rows.
struct Rows {
  static constexpr std::size_t features = 500;
  explicit Rows(std::size_t n) : count(n) {
    test::Draw draw(91);
    const auto z = test::power_features(n, features, 1.3, draw);
    kernel = test::gram(z, n, features);
    for (std::size_t i = 0; i < n; ++i) {
      double truth = 1;
      for (std::size_t k = 0; k < features; ++k) truth += z[i * features + k] * (k % 2 ? 1 : -1);
      reference.push_back(truth);
      labels.push_back(truth + std::sqrt(evaluation_noise) * draw.normal());
      group.push_back(static_cast<std::int64_t>(i / 4));
    }
  }
  EvaluationSet set_of(std::span<const std::size_t> rows, std::span<const std::size_t> columns) {
    EvaluationSet set;
    set.name = "others";
    set.rows = rows.size();
    set.part = parts_of_rows(rows.size(), at_rows(group, rows), 7);
    set.grouped = true;
    set.kernel = sub_matrix(kernel, count, rows, columns);
    EvaluationLabels by;
    by.by_reference = by.excess = true;
    by.reference = at_rows(reference, rows);
    by.reference_variance.assign(rows.size(), 0.0);
    set.labels = {by};
    return set;
  }
  std::size_t count;
  std::vector<double> kernel, labels, reference;
  std::vector<std::int64_t> group;
};

TEST(EvaluationSets, LearningCurvesAreThoseOfTheSameTestRows) {
  Rows data(240);
  StudyRows rows;
  rows.kernel = data.kernel;
  rows.group = data.group;
  rows.labels = {{"target", data.labels, std::vector<double>(240, evaluation_noise), data.reference,
                  std::vector<double>(240, 0.0)}};
  const auto plan = plan_study(draw_study_split(rows, 40, 7), {30, 60}, 3, 7);
  std::vector<std::size_t> all(240);
  std::iota(all.begin(), all.end(), std::size_t{0});
  rows.evaluate = {data.set_of(plan.split.test, all), data.set_of(plan.split.test, all)};
  rows.evaluate[1].name = "silent";
  rows.evaluate[1].labels[0].missing = "of a test";
  std::vector<json> points;
  for (const auto& point : study_points(plan)) points.push_back(study_point(rows, plan, point));
  const auto report = study_report(rows, plan, points);
  const auto& set = report.at("labels")[0];
  EXPECT_FALSE(set.at("evaluate").contains("silent"));
  const auto& judged = set.at("evaluate").at("others");
  EXPECT_EQ(judged.at("rows"), 40);
  EXPECT_EQ(judged.at("parts"), report.at("test_parts"));
  ASSERT_EQ(judged.at("rules").size(), rule_names().size());
  for (std::size_t r = 0; r < rule_names().size(); ++r) {
    const auto &a = judged.at("rules")[r], &b = set.at("rules")[r];
    EXPECT_EQ(a.at("rule"), b.at("rule"));
    EXPECT_EQ(a.at("eta_median"), b.at("eta_median"));
    EXPECT_FALSE(a.contains("in_sample"));
    for (const char* key : {"risk", "low", "high", "to_oracle_low"}) {
      for (std::size_t s = 0; s < 2; ++s) {
        EXPECT_NEAR(a.at(key)[s].get<double>() / b.at(key)[s].get<double>(), 1, 1e-9)
            << a.at("rule") << key;
      }
    }
  }
}

// Trained on all rows in the report's modes against a block of those rows of its own.
TEST(EvaluationSets, AllRowsTrainAsABlockOfThem) {
  Rows data(200);
  constexpr std::size_t n = 140;
  Split split;
  for (std::size_t i = 0; i < data.count; ++i) (i < n ? split.train : split.test).push_back(i);
  TheoryInputs inputs;
  inputs.samples = n;
  inputs.law_draws = 0;
  inputs.kernel = sub_matrix(data.kernel, data.count, split.train, split.train);
  inputs.subset.resize(n);
  std::iota(inputs.subset.begin(), inputs.subset.end(), std::int64_t{0});
  inputs.group = at_rows(data.group, split.train);
  auto centred_kernel = inputs.kernel;
  const auto means = centring_means(inputs.kernel, n, 1);
  centre_kernel(centred_kernel, n);
  const auto eigen = test::scaled_eigen(centred_kernel, n);
  inputs.eigenvalues = eigen.values;
  const auto labels = at_rows(data.labels, split.train);
  inputs.labels = {{"target", labels, project(eigen, labels)}};
  inputs.labels[0].noise_variances.assign(n, evaluation_noise);
  inputs.labels[0].noise_modes = project_variances(eigen, inputs.labels[0].noise_variances);
  auto set = data.set_of(split.test, split.train);
  auto centred_set = set.kernel;
  centre_rows(centred_set, set.rows, means);
  set.product.assign(set.rows * n, 0.0);
  for (std::size_t i = 0; i < set.rows; ++i) {
    for (std::size_t k = 0; k < n; ++k) {
      set.product[i * n + k] =
          cblas_ddot(n, centred_set.data() + i * n, 1, eigen.vectors.data() + k * n, 1);
    }
  }
  inputs.evaluate = {set};
  const auto report = theory_summary(inputs);
  const auto& judged = report.at("labels")[0].at("evaluate").at("others");

  const auto block = make_block(data.kernel, data.count, split, data.group, inputs.seed);
  BlockLabels direct{labels,  inputs.labels[0].noise_variances, {},
                     {},      set.labels[0].reference,          set.labels[0].reference_variance,
                     set.part};
  const auto path = judged.at("path").at("eta").get<std::vector<double>>();
  const auto expected = rule_risks(block, direct, path);
  ASSERT_EQ(judged.at("rules").size(), expected.rules.size());
  for (const auto& rule : expected.rules) {
    bool found = false;
    for (const auto& entry : judged.at("rules")) {
      if (entry.at("rule") != rule.rule) continue;
      found = true;
      EXPECT_NEAR(entry.at("risk").get<double>() / rule.risk, 1, 1e-7) << rule.rule;
      EXPECT_LE(entry.at("low").get<double>(), rule.risk) << rule.rule;
      EXPECT_GE(entry.at("high").get<double>(), rule.risk) << rule.rule;
      if (std::isfinite(rule.eta)) {
        EXPECT_NEAR(entry.at("eta").get<double>(), rule.eta, 1e-6 * rule.eta) << rule.rule;
      }
    }
    EXPECT_TRUE(found) << rule.rule;
  }
  // Too large for a kernel in memory: the rules that leave rows out are missing, and it is said.
  inputs.kernel = sub_matrix(inputs.kernel, n, std::span(split.train).first(100),
                             std::span(split.train).first(100));
  inputs.subset.resize(100);
  const auto less = theory_summary(inputs);
  EXPECT_EQ(less.at("labels")[0].at("evaluate").at("others").at("rules").size(),
            expected.rules.size() - 3);
  EXPECT_NE(less.at("limits").dump().find("leave_one_out"), std::string::npos);
}

TEST(EvaluationSets, SaysWhyASetDoesNotJudge) {
  Rows data(60);
  TheoryInputs inputs;
  inputs.samples = 60;
  inputs.law_draws = 0;
  auto kernel = data.kernel;
  centre_kernel(kernel, 60);
  const auto eigen = test::scaled_eigen(kernel, 60);
  inputs.eigenvalues = eigen.values;
  inputs.labels = {{"target", data.labels, project(eigen, data.labels)}};
  EvaluationSet set;
  set.name = "others";
  EvaluationLabels none;
  none.missing = "it has no targets";
  set.labels = {none};
  inputs.evaluate = {set};
  const auto report = theory_summary(inputs);
  EXPECT_TRUE(report.at("labels")[0].at("evaluate").is_null());
  EXPECT_NE(report.at("limits").dump().find(
                "evaluation set others does not judge label set target: it has no targets"),
            std::string::npos);
}

}  // namespace
}  // namespace ntk::theory
