// Several outputs a sample and classes: blocks against plain refits, error rates by hand.
#include "theory/classes.hpp"

#include <gtest/gtest.h>

#define EIGEN_DONT_VECTORIZE  // gcc 12 warns of its AVX-512
#include <Eigen/LU>
#include <cmath>
#include <numeric>

#include "theory/learning_study.hpp"
#include "theory/test_kernels.hpp"

namespace ntk::theory {
namespace {

using nlohmann::json;
using test::Draw;
using Matrix = Eigen::MatrixXd;

// `outputs` functionals of common Gaussian features: rows r = sample * outputs + output.
std::vector<double> coupled_kernel(std::size_t samples, std::size_t outputs, std::uint64_t seed) {
  constexpr std::size_t features = 80;
  Draw draw(seed);
  const auto z = test::power_features(samples, features, 1.2, draw);
  const auto mix = draw.normals(outputs * features);
  std::vector<double> rows;
  for (std::size_t i = 0; i < samples; ++i) {
    for (std::size_t c = 0; c < outputs; ++c) {
      // Two features of every pair belong to the output's own and to a common functional.
      for (std::size_t k = 0; k < features; ++k) {
        rows.push_back(z[i * features + k] * (mix[c * features + k] + (k % 2 ? 1 : 0)));
      }
    }
  }
  return test::gram(rows, samples * outputs, features, 0.3);
}

// The ridge fit with an intercept an output by the full linear system
//   [K + penalty I, Z; Z^T, 0] [a; b] = [y; 0],   Z the indicators of outputs.
struct PlainRidge {
  PlainRidge(const std::vector<double>& kernel, std::size_t n, const std::vector<std::size_t>& rows,
             const std::vector<double>& y, double penalty, std::size_t outputs)
      : kernel_(kernel), n_(n), rows_(rows), outputs_(outputs) {
    const auto m = static_cast<Eigen::Index>(rows.size()), c = static_cast<Eigen::Index>(outputs);
    Matrix a = Matrix::Zero(m + c, m + c);
    Eigen::VectorXd right = Eigen::VectorXd::Zero(m + c);
    for (Eigen::Index i = 0; i < m; ++i) {
      for (Eigen::Index j = 0; j < m; ++j) a(i, j) = entry(rows[i], rows[j]);
      a(i, i) += penalty;
      const auto output = m + static_cast<Eigen::Index>(rows[i] % outputs);
      a(i, output) = a(output, i) = 1;
      right(i) = y[rows[i]];
    }
    solution_ = a.fullPivLu().solve(right);
  }
  double at(std::size_t row) const {
    const auto m = static_cast<Eigen::Index>(rows_.size());
    double f = solution_(m + static_cast<Eigen::Index>(row % outputs_));
    for (Eigen::Index j = 0; j < m; ++j) f += entry(row, rows_[j]) * solution_(j);
    return f;
  }

 private:
  double entry(std::size_t i, std::size_t j) const { return kernel_[i * n_ + j]; }
  const std::vector<double>& kernel_;
  std::size_t n_;
  std::vector<std::size_t> rows_;
  std::size_t outputs_;
  Eigen::VectorXd solution_;
};

constexpr std::size_t samples = 24, outputs = 3, order = samples * outputs;

TEST(SeveralOutputs, PredictionsAndLeaveOneSampleOutAreThoseOfRefits) {
  const auto kernel = coupled_kernel(samples, outputs, 31);
  Draw draw(32);
  const auto y = draw.normals(order);
  Split split;
  for (std::size_t i = 0; i < samples; ++i) (i < 18 ? split.train : split.test).push_back(i);
  const auto train = rows_of_samples(split.train, outputs),
             test = rows_of_samples(split.test, outputs);
  const auto block = make_block(kernel, order, split, {}, 3, 5, outputs);
  EXPECT_EQ(block.modes.modes, train.size() - outputs);
  const auto labels = at_rows(y, train);
  const double n = static_cast<double>(train.size());
  for (const double penalty : {0.05, 2.0, 80.0}) {
    const std::vector<double> eta{n / penalty};
    const PlainRidge plain(kernel, order, train, y, penalty, outputs);
    const auto predictions = predict_along(block.modes, labels, eta, Path::ridge);
    for (std::size_t i = 0; i < test.size(); ++i) {
      EXPECT_NEAR(predictions[i], plain.at(test[i]), 1e-9);
    }
    double left_out = 0;
    for (const std::size_t s : split.train) {
      std::vector<std::size_t> rest;
      for (const std::size_t r : train) {
        if (r / outputs != s) rest.push_back(r);
      }
      const PlainRidge without(kernel, order, rest, y, penalty, outputs);
      for (std::size_t c = 0; c < outputs; ++c) {
        left_out += std::pow(y[s * outputs + c] - without.at(s * outputs + c), 2) / n;
      }
    }
    EXPECT_NEAR(leave_one_out(block.modes, labels, eta, Path::ridge)[0] / left_out, 1, 1e-8);
  }
}

TEST(SeveralOutputs, FoldsKeepSamplesAndGroupsWhole) {
  const auto kernel = coupled_kernel(samples, outputs, 33);
  std::vector<std::int64_t> group;
  for (std::size_t i = 0; i < samples; ++i) group.push_back(static_cast<std::int64_t>(i / 3));
  const auto folds = draw_folds(kernel, order, group, 4, 5, outputs);
  ASSERT_EQ(folds.size(), 4u);
  std::vector<int> seen(order, 0);
  for (const auto& fold : folds) {
    EXPECT_EQ(fold.test.size() + fold.train.size(), order);
    for (const auto r : fold.test) {
      seen[r] += 1;
      for (const auto other : fold.train) {
        EXPECT_NE(group[r / outputs], group[other / outputs]);
      }
    }
  }
  EXPECT_EQ(std::count(seen.begin(), seen.end(), 1), static_cast<std::ptrdiff_t>(order));
}

// A block-diagonal kernel is the same kernel for every output: nothing may be shared.
TEST(SeveralOutputs, OutputsThatShareNothingAreSeparateFits) {
  const auto x = Draw(34).uniforms(samples);
  const auto one = test::kernel_matrix(x, test::min_kernel);
  std::vector<double> kernel(order * order, 0.0);
  for (std::size_t i = 0; i < samples; ++i) {
    for (std::size_t j = 0; j < samples; ++j) {
      for (std::size_t c = 0; c < outputs; ++c) {
        kernel[(i * outputs + c) * order + j * outputs + c] = one[i * samples + j];
      }
    }
  }
  const auto y = Draw(35).normals(order);
  Split split;
  for (std::size_t i = 0; i < samples; ++i) (i % 4 ? split.train : split.test).push_back(i);
  const auto block = make_block(kernel, order, split, {}, 3, 0, outputs);
  const auto single = make_block(one, samples, split, {}, 3, 0);
  const auto labels = at_rows(y, rows_of_samples(split.train, outputs));
  const std::vector<double> eta{30};
  // K/n has n rows in the one, n outputs in the other.
  const std::vector<double> of_one{30.0 / outputs};
  const auto predictions = predict_along(block.modes, labels, eta);
  for (std::size_t c = 0; c < outputs; ++c) {
    std::vector<double> mine;
    for (const std::size_t s : split.train) mine.push_back(y[s * outputs + c]);
    const auto expected = predict_along(single.modes, mine, of_one);
    for (std::size_t i = 0; i < split.test.size(); ++i) {
      EXPECT_NEAR(predictions[i * outputs + c], expected[i], 1e-9);
    }
  }
}

RuleRisk predicted(const char* rule, std::vector<double> predictions) {
  return {rule, 1, 0, 0, {}, std::move(predictions)};
}

TEST(ErrorRates, ByHand) {
  const ClassTruth truth{3, {0, 1, 2, 2}, {}};
  const std::vector<std::size_t> part{0, 0, 1, 1};
  // One label set with all classes: samples 0 and 2 right, 1 and 3 wrong; never: all right.
  const std::vector<std::vector<RuleRisk>> together{
      {predicted("gcv", {.9, .1, 0, .5, .2, .3, 0, .4, .6, .5, .1, .4}),
       predicted("never", {1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 1})}};
  const std::vector<std::vector<double>> means{{.3, .3, .4}};
  const auto rates = error_rates(truth, part, together, means);
  ASSERT_EQ(rates.size(), 2u);
  EXPECT_EQ(rates[0].rule, "gcv");
  EXPECT_DOUBLE_EQ(rates[0].rate, 0.5);
  EXPECT_EQ(rates[0].parts, (std::vector<double>{0.5, 0.5}));
  EXPECT_DOUBLE_EQ(rates[1].rate, 0);
  // A label set a class; the last could not be learned and is its constant. What one of the others
  // lacks is left out.
  const std::vector<std::vector<RuleRisk>> apart{
      {predicted("gcv", {.9, .3, .2, .1}), predicted("never", {1, 1, 1, 1})},
      {predicted("gcv", {.1, .7, .3, .45})},
      {}};
  const std::vector<std::vector<double>> constants{{.5}, {.3}, {.4}};
  const auto by_class = error_rates(truth, part, apart, constants);
  ASSERT_EQ(by_class.size(), 1u);
  EXPECT_DOUBLE_EQ(by_class[0].rate, 0.25);  // sample 3: .45 against .4
  EXPECT_EQ(by_class[0].parts, (std::vector<double>{0, 0.5}));
  // What was taken off the labels counts again.
  const ClassTruth kept{3, {0, 1, 2, 2}, {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, .1}};
  EXPECT_DOUBLE_EQ(error_rates(kept, part, apart, constants)[0].rate, 0);
  EXPECT_TRUE(error_rates({}, part, apart, constants).empty());
  const std::vector<std::vector<RuleRisk>> nothing(3);
  EXPECT_TRUE(error_rates(truth, part, nothing, constants).empty());
}

// One-hot targets on a kernel of all outputs: curves over samples, judged by class too.
TEST(ErrorRates, LearningCurvesOverSamples) {
  constexpr std::size_t n = 120, classes = 2;
  Draw draw(36);
  const auto x = draw.uniforms(n);
  StudyRows rows;
  rows.outputs = classes;
  rows.kernel.assign(n * classes * n * classes, 0.0);
  rows.truth.classes = classes;
  StudyLabels labels{"classes", {}, {}, {}, {}};
  for (std::size_t i = 0; i < n; ++i) {
    const bool upper = x[i] > 0.4;
    rows.truth.label.push_back(upper);
    labels.values.push_back(!upper);
    labels.values.push_back(upper);
    rows.group.push_back(static_cast<std::int64_t>(i / 2));
    for (std::size_t j = 0; j < n; ++j) {
      for (std::size_t c = 0; c < classes; ++c) {
        rows.kernel[(i * classes + c) * n * classes + j * classes + c] = std::min(x[i], x[j]);
      }
    }
  }
  rows.labels = {labels};
  const auto plan = plan_study(draw_study_split(rows, 40, 5), {20, 40}, 4, 5);
  for (const auto r : plan.split.test) {
    for (const auto p : plan.split.pool) EXPECT_NE(r / 2, p / 2);
  }
  std::vector<json> points;
  for (const auto& point : study_points(plan)) points.push_back(study_point(rows, plan, point));
  const auto report = study_report(rows, plan, points);
  EXPECT_EQ(report.at("outputs"), 2);
  EXPECT_EQ(report.at("test_rows"), 40);
  ASSERT_EQ(report.at("labels")[0].at("rules").size(), rule_names().size() - 1);
  const auto& error = report.at("classes").at("rules");
  ASSERT_EQ(error.size(), rule_names().size() - 1);
  for (const auto& rule : error) {
    for (std::size_t s = 0; s < 2; ++s) {
      EXPECT_LE(rule.at("low")[s], rule.at("error_rate")[s]);
      EXPECT_GE(rule.at("high")[s], rule.at("error_rate")[s]);
    }
    if (rule.at("rule") == "gcv") {
      EXPECT_LT(rule.at("error_rate")[1], 0.1);
    }
    if (rule.at("rule") == "null") {
      EXPECT_GT(rule.at("error_rate")[1], 0.2);
    }
  }
  // The two outputs mirror each other, and so do two label sets on the kernel of one: same error.
  StudyRows single = rows;
  single.outputs = 1;
  single.kernel = test::kernel_matrix(x, test::min_kernel);
  single.labels.clear();
  for (std::size_t c = 0; c < classes; ++c) {
    StudyLabels one{c ? "class 1" : "class 0", {}, {}, {}, {}};
    for (const auto l : rows.truth.label) one.values.push_back(l == static_cast<int>(c));
    single.labels.push_back(one);
  }
  points.clear();
  for (const auto& point : study_points(plan)) points.push_back(study_point(single, plan, point));
  const auto apart = study_report(single, plan, points);
  for (std::size_t r = 0; r < error.size(); ++r) {
    if (error[r].at("rule") != "never") continue;
    EXPECT_EQ(apart.at("classes").at("rules")[r].at("error_rate"), error[r].at("error_rate"));
  }
  const auto risk = [](const json& of, const char* rule) {
    for (const auto& entry : of.at("labels")[0].at("rules")) {
      if (entry.at("rule") == rule) return entry.at("risk")[1].get<double>();
    }
    return std::nan("");
  };
  for (const char* rule : {"gcv", "k_fold", "leave_one_out", "never", "null"}) {
    EXPECT_NEAR(risk(apart, rule) / risk(report, rule), 1, 1e-6) << rule;
  }
}

}  // namespace
}  // namespace ntk::theory
