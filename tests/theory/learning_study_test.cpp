// Learning curves on one kernel: who trains on what, what is put together, what is refused.
#include "theory/learning_study.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>

#include "base/error.hpp"
#include "theory/test_kernels.hpp"

namespace ntk::theory {
namespace {

using nlohmann::json;
using test::Draw;

constexpr double study_noise = 0.1;

// Gaussian features k^-1.3 with a target that needs them all; groups of five rows.
StudyRows make_rows(std::size_t n = 400, bool grouped = true) {
  constexpr std::size_t p = 600;
  Draw draw(71);
  StudyRows rows;
  const auto z = test::power_features(n, p, 1.3, draw);
  rows.kernel = test::gram(z, n, p);
  StudyLabels labels{"target", {}, {}, {}, {}};
  for (std::size_t i = 0; i < n; ++i) {
    double truth = 1;
    for (std::size_t k = 0; k < p; ++k) truth += z[i * p + k] * (k % 2 ? 1 : -1);
    labels.values.push_back(truth + std::sqrt(study_noise) * draw.normal());
    labels.reference.push_back(truth);
    if (grouped) rows.group.push_back(static_cast<std::int64_t>(i / 5));
  }
  labels.reference_variance.assign(n, 0.0);
  labels.noise_variances.assign(n, study_noise);
  rows.labels = {labels};
  return rows;
}

json report_of(const StudyRows& rows, const StudyPlan& plan) {
  std::vector<json> points;
  for (const auto& point : study_points(plan)) points.push_back(study_point(rows, plan, point));
  return study_report(rows, plan, points);
}

const json& rule_of(const json& report, const std::string& name) {
  for (const auto& rule : report.at("labels").at(0).at("rules")) {
    if (rule.at("rule") == name) return rule;
  }
  throw std::out_of_range(name);
}

std::string refusal(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::usage);
    return error.what();
  }
  return "";
}

// Rows of a group that share a large part of their label: drawn one by one they cover the groups.
TEST(LearningStudy, TrainingRowsAreDrawnByGroupsOrSingly) {
  auto rows = make_rows();
  Draw draw(5);
  const auto shared = draw.normals(80);
  for (std::size_t i = 0; i < 400; ++i) {
    rows.labels[0].values[i] += 3 * shared[i / 5];
    rows.labels[0].reference[i] += 3 * shared[i / 5];
  }
  auto plan = plan_study(draw_study_split(rows, 100, 7), {25}, 200, 7);
  const auto whole = report_of(rows, plan);
  plan.single_rows = true;
  const auto single = report_of(rows, plan);
  EXPECT_EQ(whole["training_rows_drawn"], "by whole groups");
  EXPECT_EQ(single["training_rows_drawn"], "singly");
  EXPECT_EQ(whole["pool_rows"], single["pool_rows"]);
  // The part of the labels that groups share has variance 9: the mean over 5 groups is further off
  // by 9/5 than the truth, over 25 rows of nearly as many groups by little more than 9/25.
  const double difference = rule_of(whole, "null")["risk"][0].get<double>() -
                            rule_of(single, "null")["risk"][0].get<double>();
  EXPECT_NEAR(difference, 9.0 / 5 - 9.0 / 25, 0.6);
}

TEST(LearningStudy, TestSetAndPoolShareNoGroup) {
  const auto rows = make_rows();
  const auto split = draw_study_split(rows, 103, 7);
  EXPECT_EQ(split.test.size(), 103u);
  EXPECT_EQ(split.pool.size(), 295u);  // two rows of the group that was cut are used nowhere
  std::set<std::int64_t> tested;
  for (const auto r : split.test) tested.insert(rows.group[r]);
  EXPECT_EQ(tested.size(), 21u);
  for (const auto r : split.pool) EXPECT_FALSE(tested.contains(rows.group[r]));
  for (std::size_t i = 0; i < split.test.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j) {
      EXPECT_EQ(split.part[i] == split.part[j],
                rows.group[split.test[i]] == rows.group[split.test[j]]);
    }
  }
  const auto single = draw_study_split(make_rows(400, false), 103, 7);
  EXPECT_EQ(single.pool.size(), 297u);
  EXPECT_EQ(std::set<std::size_t>(single.part.begin(), single.part.end()).size(), 64u);
}

TEST(LearningStudy, RefusesTrainingSetsAboveHalfThePool) {
  const auto rows = make_rows();
  const auto plan = [&](std::vector<std::size_t> sizes) {
    return plan_study(draw_study_split(rows, 100, 7), std::move(sizes), 3, 7);
  };
  EXPECT_EQ(plan({150, 50}).sizes, (std::vector<std::size_t>{50, 150}));
  EXPECT_NE(refusal([&] {
              plan({50, 151});
            }).find("at most half of the 300 rows"),
            std::string::npos);
  EXPECT_NE(refusal([&] { plan({19}); }).find("at least 20"), std::string::npos);
  EXPECT_NE(refusal([&] { plan({}); }).find("needs sizes"), std::string::npos);
}

TEST(LearningStudy, CurvesFallAndStatementsAgree) {
  const auto rows = make_rows();
  const auto plan = plan_study(draw_study_split(rows, 100, 7), {30, 60, 120}, 6, 7);
  const auto report = report_of(rows, plan);
  EXPECT_EQ(report.at("test_rows"), 100);
  EXPECT_EQ(report.at("labels").at(0).at("judged_by"), "reference");
  for (const auto& rule : report.at("labels").at(0).at("rules")) {
    for (std::size_t s = 0; s < 3; ++s) {
      const double risk = rule["risk"][s], low = rule["low"][s], high = rule["high"][s];
      EXPECT_LE(low, risk) << rule["rule"];
      EXPECT_GE(high, risk) << rule["rule"];
      if (rule["rule"] != "ridge_oracle") {
        EXPECT_GE(rule["to_oracle"][s], 1) << rule["rule"];
      }
    }
  }
  const auto& oracle = rule_of(report, "oracle");
  for (std::size_t s = 1; s < 3; ++s) EXPECT_LT(oracle["risk"][s], oracle["risk"][s - 1]);
  const std::vector<double> risks = oracle["risk"];
  EXPECT_NEAR(oracle["slope"]["value"], test::log_slope({30, 60, 120}, risks), 1e-12);
  const auto& stop = rule_of(report, "discrepancy");
  const std::vector<double> etas = stop["eta_median"];
  EXPECT_NEAR(stop["eta_slope"]["value"], test::log_slope({30, 60, 120}, etas), 1e-12);
  EXPECT_LT(stop["eta_slope"]["low"], stop["eta_slope"]["value"]);
  EXPECT_GT(stop["eta_slope"]["high"], stop["eta_slope"]["value"]);
  EXPECT_TRUE(rule_of(report, "never")["eta_slope"]["value"].is_null());
  EXPECT_TRUE(rule_of(report, "null")["eta_slope"]["value"].is_null());
  EXPECT_NEAR(oracle["local_slopes"][1], std::log(risks[2] / risks[1]) / std::log(2), 1e-12);
  EXPECT_LT(oracle["slope"]["low"], oracle["slope"]["value"]);
  EXPECT_GT(oracle["slope"]["high"], oracle["slope"]["value"]);
  EXPECT_GT(rule_of(report, "null")["to_oracle"][2], 1.5);
  EXPECT_NEAR(rule_of(report, "null")["slope"]["value"], 0, 0.05);
  const auto& plug_in = report.at("labels").at(0).at("plug_in");
  ASSERT_FALSE(plug_in.is_null());
  for (std::size_t s = 1; s < 3; ++s) {
    EXPECT_NEAR(plug_in["risk"][s].get<double>() / risks[s], 1, 0.35);
  }
}

// The mean over draws of what points say, whatever order they come in.
// The path that is shown is that of the first draw at the largest size: no stop on it is better
// than its best, and it begins at the null risks.
TEST(LearningStudy, ShowsThePathOfOneTrainingSet) {
  const auto rows = make_rows();
  const auto plan = plan_study(draw_study_split(rows, 100, 1), {40, 80}, 2, 1);
  const auto report = report_of(rows, plan);
  const auto& path = report.at("labels").at(0).at("path");
  EXPECT_EQ(path.at("n"), 80);
  EXPECT_EQ(path.at("draw"), 0);
  const auto flow = path.at("flow").get<std::vector<double>>();
  ASSERT_EQ(path.at("eta").size(), flow.size());
  ASSERT_EQ(path.at("in_sample").size(), flow.size());
  const double best = *std::min_element(flow.begin(), flow.end());
  std::set<std::string> rules;
  for (const auto& stop : path.at("stops")) {
    const std::string rule = stop.at("rule");
    rules.insert(rule);
    EXPECT_GE(stop.at("risk").get<double>(), 0.99 * best) << rule;
    if (rule == "oracle") {
      EXPECT_NEAR(stop.at("risk").get<double>(), best, 0.01 * best);
    }
    if (rule == "null") {
      EXPECT_NEAR(stop.at("risk").get<double>(), flow[0], 0.1 * flow[0]);
    }
  }
  EXPECT_TRUE(rules.contains("never") && rules.contains("gcv") && !rules.contains("ridge_oracle"));
}

TEST(LearningStudy, ReportsAreMeansOverDraws) {
  const auto rows = make_rows(300, false);
  const auto plan = plan_study(draw_study_split(rows, 60, 3), {25, 50}, 4, 3);
  std::vector<json> points;
  for (const auto& point : study_points(plan)) points.push_back(study_point(rows, plan, point));
  const auto report = study_report(rows, plan, points);
  std::reverse(points.begin(), points.end());
  EXPECT_EQ(study_report(rows, plan, points), report);
  double sum = 0;
  for (const auto& point : points) {
    if (point["n"] == 50) sum += point["labels"][0]["rules"][0]["risk"].get<double>() / 4;
  }
  EXPECT_NEAR(rule_of(report, "oracle")["risk"][1], sum, 1e-14);
}

TEST(LearningStudy, PredictionsKnowNoTestLabels) {
  auto rows = make_rows();
  const auto plan = plan_study(draw_study_split(rows, 100, 7), {30, 60}, 2, 7);
  const auto before = report_of(rows, plan);
  rows.labels[0].values[plan.split.test[5]] += 50;
  EXPECT_EQ(report_of(rows, plan), before);
  rows.labels[0].reference[plan.split.test[5]] += 50;
  const auto after = report_of(rows, plan);
  EXPECT_EQ(after["labels"][0]["plug_in"], before["labels"][0]["plug_in"]);
  EXPECT_NE(rule_of(after, "gcv")["risk"], rule_of(before, "gcv")["risk"]);
  EXPECT_EQ(rule_of(after, "gcv")["eta_median"], rule_of(before, "gcv")["eta_median"]);
}

// Without references the labels judge, less their noise where it is known.
TEST(LearningStudy, LabelsJudgeWithoutAReference) {
  auto rows = make_rows();
  const auto plan = plan_study(draw_study_split(rows, 100, 7), {30, 100}, 4, 7);
  const double exact = rule_of(report_of(rows, plan), "gcv")["risk"][1];
  rows.labels[0].reference.clear();
  rows.labels[0].reference_variance.clear();
  const auto noisy = report_of(rows, plan);
  EXPECT_EQ(noisy.at("labels").at(0).at("judged_by"), "labels");
  EXPECT_TRUE(noisy.at("labels").at(0).at("excess"));
  EXPECT_NEAR(rule_of(noisy, "gcv")["risk"][1], exact, 4 * study_noise / 10);  // 100 test rows
  EXPECT_TRUE(rule_of(noisy, "gcv")["in_sample"][1].is_null());
  rows.labels[0].noise_variances.clear();
  const auto blind = report_of(rows, plan);
  EXPECT_FALSE(blind.at("labels").at(0).at("excess"));
  EXPECT_GT(rule_of(blind, "gcv")["risk"][1], 0.7 * study_noise);
}

TEST(LearningStudy, ConstantLabelsHaveNoCurve) {
  auto rows = make_rows();
  rows.labels[0].values.assign(rows.labels[0].values.size(), 2.0);
  const auto plan = plan_study(draw_study_split(rows, 100, 7), {30}, 2, 7);
  const auto report = report_of(rows, plan);
  EXPECT_TRUE(report.at("labels").at(0).at("rules").empty());
  EXPECT_TRUE(report.at("labels").at(0).at("plug_in").is_null());
}

}  // namespace
}  // namespace ntk::theory
