// Task vectors in features, where parameters exist: tau = J^T c, updates are J tau, alignment is
// that of covariance matrices.
#include "theory/task_vectors.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <set>

#include "base/error.hpp"
#include "theory/linear_algebra.hpp"
#include "theory/test_inputs.hpp"
#include "theory/test_kernels.hpp"

namespace ntk::theory {
namespace {

using nlohmann::json;
using test::Draw;

constexpr std::size_t features = 30;

// Rows of tasks in turn; task t sees the features of `seen(t)` alone, others are zero for it.
struct Example {
  template <class Seen>
  Example(std::size_t n, std::size_t tasks, Seen seen, double deviation = 0.1,
          std::uint64_t seed = 5) {
    Draw draw(seed);
    const auto truth = draw.normals(features);
    for (std::size_t t = 0; t < tasks; ++t) rows.names.push_back("task" + std::to_string(t));
    for (std::size_t i = 0; i < n; ++i) {
      const std::size_t t = i % tasks;
      rows.task.push_back(static_cast<std::int32_t>(t));
      double value = 10.0 * static_cast<double>(t + 1);  // the tasks' intercepts
      for (std::size_t f = 0; f < features; ++f) {
        const double z = seen(t, f) ? draw.normal() : 0.0;
        j.push_back(z);
        value += z * truth[f];
      }
      rows.reference.push_back(value);
      rows.labels.push_back(value + deviation * draw.normal());
    }
    rows.reference_variance.assign(n, 0.0);
    rows.kernel = test::gram(j, n, features);
  }
  std::vector<double> j;  // (n, features)
  TaskRows rows;
};

const auto all_features = [](std::size_t, std::size_t) { return true; };
// Half of the features for each of two tasks.
const auto own_features = [](std::size_t t, std::size_t f) { return f % 2 == t % 2; };

// Features less the means over the training rows of their task.
std::vector<double> centred_features(const Example& e, const std::vector<Split>& splits) {
  auto j = e.j;
  for (std::size_t t = 0; t < splits.size(); ++t) {
    for (std::size_t f = 0; f < features; ++f) {
      double sum = 0;
      for (const auto i : splits[t].train) sum += e.j[i * features + f];
      for (std::size_t i = 0; i < e.rows.rows(); ++i) {
        if (e.rows.task[i] == static_cast<std::int32_t>(t)) {
          j[i * features + f] -= sum / static_cast<double>(splits[t].train.size());
        }
      }
    }
  }
  return j;
}

using test::value;

TEST(TaskVectors, SplitsKeepGroupsApartAndTasksWhole) {
  Example e(240, 2, all_features);
  for (std::size_t i = 0; i < 240; ++i) e.rows.group.push_back(static_cast<std::int64_t>(i / 6));
  const auto splits = split_tasks(e.rows, 3);
  ASSERT_EQ(splits.size(), 2u);
  for (std::size_t t = 0; t < 2; ++t) {
    EXPECT_EQ(splits[t].train.size(), 60u);
    EXPECT_EQ(splits[t].test.size(), 30u);
    std::set<std::int64_t> trained;
    for (const auto i : splits[t].train) {
      EXPECT_EQ(e.rows.task[i], static_cast<std::int32_t>(t));
      trained.insert(e.rows.group[i]);
    }
    for (const auto i : splits[t].test) {
      EXPECT_EQ(e.rows.task[i], static_cast<std::int32_t>(t));
      EXPECT_FALSE(trained.contains(e.rows.group[i]));
    }
  }
  Example few(79, 2, all_features);  // 40 and 39 rows
  try {
    split_tasks(few.rows, 3);
    ADD_FAILURE() << "39 rows";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::input);
    EXPECT_NE(std::string(error.what()).find("task1 has 39 rows"), std::string::npos);
  }
}

TEST(TaskVectors, CentringIsThatOfTheFeatures) {
  const Example e(90, 2, all_features);
  const auto splits = split_tasks(e.rows, 3);
  const auto kernel = centre_kernel_by_task(e.rows.kernel, e.rows.task, splits);
  const auto expected = test::gram(centred_features(e, splits), 90, features);
  for (std::size_t i = 0; i < kernel.size(); ++i) ASSERT_NEAR(kernel[i], expected[i], 1e-11);
}

// Small steps of gradient descent on the parameters, from zero, to the same total step size.
TEST(TaskVectors, UpdateIsThatOfTrainedParameters) {
  const Example e(120, 2, all_features, 2.0);
  const auto splits = split_tasks(e.rows, 3);
  const auto j = centred_features(e, splits);
  const auto kernel = centre_kernel_by_task(e.rows.kernel, e.rows.task, splits);
  const auto labels = centre_by_task(e.rows.labels, e.rows.task, splits);
  const auto& train = splits[1].train;
  const auto vector = fit_task_vector(kernel, 120, labels, train);
  ASSERT_TRUE(std::isfinite(vector.eta));
  ASSERT_GT(vector.eta, 0);
  std::vector<double> tau(features, 0.0);
  constexpr int steps = 20000;
  const double step = vector.eta / steps / static_cast<double>(train.size());
  for (int s = 0; s < steps; ++s) {
    std::vector<double> gradient(features, 0.0);
    for (const auto i : train) {
      double residual = labels[i];
      for (std::size_t f = 0; f < features; ++f) residual -= j[i * features + f] * tau[f];
      for (std::size_t f = 0; f < features; ++f) gradient[f] += residual * j[i * features + f];
    }
    for (std::size_t f = 0; f < features; ++f) tau[f] += step * gradient[f];
  }
  double scale = 0;
  for (const double u : vector.update) scale = std::max(scale, std::abs(u));
  for (std::size_t i = 0; i < 120; ++i) {
    double update = 0;
    for (std::size_t f = 0; f < features; ++f) update += j[i * features + f] * tau[f];
    EXPECT_NEAR(vector.update[i], update, 2e-3 * scale) << i;
  }
}

TEST(TaskVectors, AlignmentIsThatOfCovariances) {
  const Example e(160, 2, [](std::size_t t, std::size_t f) { return t == 0 || f < 20; });
  const auto splits = split_tasks(e.rows, 3);
  const auto j = centred_features(e, splits);
  const auto kernel = centre_kernel_by_task(e.rows.kernel, e.rows.task, splits);
  std::vector<std::vector<double>> s(2, std::vector<double>(features * features, 0.0));
  for (std::size_t t = 0; t < 2; ++t) {
    for (const auto i : splits[t].train) {
      for (std::size_t f = 0; f < features; ++f) {
        for (std::size_t g = 0; g < features; ++g) {
          s[t][f * features + g] += j[i * features + f] * j[i * features + g];
        }
      }
    }
  }
  const auto dot = [](const auto& a, const auto& b) {
    double sum = 0;
    for (std::size_t k = 0; k < a.size(); ++k) sum += a[k] * b[k];
    return sum;
  };
  const double expected = dot(s[0], s[1]) / std::sqrt(dot(s[0], s[0]) * dot(s[1], s[1]));
  EXPECT_NEAR(task_alignment(kernel, 160, splits[0].train, splits[1].train), expected, 1e-12);
  EXPECT_NEAR(task_alignment(kernel, 160, splits[0].train, splits[0].train), 1, 1e-12);
}

// Tasks without a common feature: what one learns changes nothing for the other.
TEST(TasksReport, TasksApart) {
  const Example e(400, 2, own_features);
  const auto report = tasks_report(e.rows, 3);
  EXPECT_NEAR(value(report.at("pairs").at(0).at("alignment")), 0, 1e-12);
  for (const auto& task : report.at("tasks")) {
    EXPECT_NEAR(value(task.at("interference")), 0, 1e-9);
    EXPECT_NEAR(task.at("own_vector").get<double>(), task.at("sum").get<double>(), 1e-9);
    EXPECT_NEAR(task.at("other_vectors").get<double>(), task.at("null").get<double>(), 1e-9);
    EXPECT_LT(task.at("own_vector").get<double>(), 0.05 * task.at("null").get<double>());
  }
  EXPECT_LT(value(report.at("additivity_error")), 0.05);  // the stops differ a little
  const auto& shares = report.at("joint_spectrum").at("shares");
  EXPECT_NEAR(
      shares.at("task0").at("trace").get<double>() + shares.at("task1").at("trace").get<double>(),
      1, 1e-12);
  EXPECT_NEAR(shares.at("task0").at("trace").get<double>(), 0.5, 0.05);
}

// One task under two names: each vector alone has learned all there is, so their sum overshoots and
// half of it is right.
TEST(TasksReport, TheSameTaskTwice) {
  const Example e(600, 2, all_features);
  const auto report = tasks_report(e.rows, 3);
  const double alignment = value(report.at("pairs").at(0).at("alignment"));
  EXPECT_GT(alignment, 0.7);
  // No better than one half of a task's rows with the other, but for the fewer rows of halves.
  for (const auto& task : report.at("tasks")) {
    EXPECT_LT(value(task.at("alignment_of_halves")), alignment);
    EXPECT_GT(value(task.at("alignment_of_halves")), alignment - 0.2);
  }
  for (const auto& task : report.at("tasks")) {
    EXPECT_NEAR(value(task.at("interference")), 1, 0.1);
    EXPECT_NEAR(value(task.at("additivity_error")), 1, 0.1);
    EXPECT_LT(task.at("own_vector").get<double>(), 0.05 * task.at("null").get<double>());
    EXPECT_NEAR(task.at("sum").get<double>() / task.at("null").get<double>(), 1, 0.2);
  }
  std::map<double, double> risks;
  for (const auto& point : report.at("scaling")) {
    risks[point.at("mean").get<double>()] = point.at("coefficient").get<double>();
    double sum = 0;
    for (const auto& [name, risk] : point.at("risks").items()) sum += risk.get<double>();
    EXPECT_NEAR(sum / 2, point.at("mean").get<double>(), 1e-12);
  }
  EXPECT_EQ(risks.begin()->second, 0.5);
}

// Labels stand in for a reference, with their noise in the risk.
TEST(TasksReport, LabelsJudgeWithoutAReference) {
  Example e(400, 2, all_features, 1.0);
  const auto with = tasks_report(e.rows, 3);
  e.rows.reference.clear();
  e.rows.reference_variance.clear();
  const auto without = tasks_report(e.rows, 3);
  EXPECT_EQ(without.at("judged_by"), "labels");
  for (std::size_t t = 0; t < 2; ++t) {
    EXPECT_NEAR(without.at("tasks")[t].at("own_vector").get<double>() -
                    with.at("tasks")[t].at("own_vector").get<double>(),
                1, 0.6);
  }
}

// Without anything to learn there are no numbers, and no failure.
TEST(TasksReport, ConstantLabels) {
  Example e(200, 2, all_features);
  e.rows.labels.assign(200, 3.0);
  const auto report = tasks_report(e.rows, 3);
  EXPECT_TRUE(report.at("additivity_error").at("value").is_null());
  EXPECT_TRUE(report.at("tasks")[0].at("interference").at("value").is_null());
}

}  // namespace
}  // namespace ntk::theory
