// What a change of units, a shift of the labels or another order of rows must leave alone: random
// cases, through the whole report and the learning study.
#include <gtest/gtest.h>

#include <numeric>

#include "theory/learning_study.hpp"
#include "theory/test_inputs.hpp"

namespace ntk::theory {
namespace {

using nlohmann::json;
using test::Draw;

// K -> kernel K, y -> label y.
struct Change {
  double kernel = 1, label = 1;
  double of(const std::string& unit) const {
    if (unit == "K/n") return kernel;
    if (unit == "1/l of K/n") return 1 / kernel;
    if (unit == "y^2") return label * label;
    if (unit == "y^2 / l of K/n") return label * label / kernel;
    return 1;
  }
};

// Numbers under these keys have the unit of the object they are in, or of one around it; others
// none, but those with a unit of their own.
bool has_unit(const std::string& key) {
  for (const char* name : {"value", "low", "high", "risk", "standard_error", "never_stopping",
                           "in_sample", "measured", "flow", "ridge"}) {
    if (key == name) return true;
  }
  return false;
}
std::string unit_of(const std::string& key, const std::string& around) {
  if (key == "slope" || key == "eta_slope") return "1";
  if (key == "eta_median" || key == "eta") return "1/l of K/n";
  return around;
}

// Compares every value of two reports; returns how many numbers there were.
std::size_t expect_changed(const json& a, const json& b, const Change& change, double tolerance,
                           const std::string& path, const std::string& key = "",
                           const std::string& around = "") {
  if (a.is_number() && b.is_number()) {
    const double factor = has_unit(key)
                              ? change.of(around)
                              : (key == "eta_median" || key == "eta" ? change.of(around) : 1.0);
    const double x = a.get<double>() * factor, y = b.get<double>();
    EXPECT_NEAR(y, x, tolerance * std::max(std::abs(x), 1e-3 * factor)) << path;
    return 1;
  }
  std::size_t count = 0;
  if (a.is_object() && b.is_object()) {
    const std::string unit = a.contains("unit") ? a.at("unit").get<std::string>() : around;
    EXPECT_EQ(a.size(), b.size()) << path;
    for (const auto& [name, value] : a.items()) {
      EXPECT_TRUE(b.contains(name)) << path << "/" << name;
      if (!b.contains(name)) continue;
      count += expect_changed(value, b.at(name), change, tolerance, path + "/" + name, name,
                              unit_of(name, unit));
    }
    return count;
  }
  if (a.is_array() && b.is_array()) {
    EXPECT_EQ(a.size(), b.size()) << path;
    for (std::size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
      count += expect_changed(a[i], b[i], change, tolerance, path + "/" + std::to_string(i), key,
                              around);
    }
    return count;
  }
  EXPECT_EQ(a, b) << path;
  return 0;
}

struct RandomCase {
  std::size_t n;
  TheoryInputs inputs;
};
RandomCase random_case(Draw& draw, std::uint64_t number) {
  const auto n = number == 0 ? 240 : 40 + static_cast<std::size_t>(60 * draw.uniform());
  RandomCase c{n, test::make_inputs(n, 1, 900 + number)};
  c.inputs.law_draws = 0;  // fits of laws are checked on their own (decay_models_test.cpp)
  if (draw.uniform() < 0.3) c.inputs.noise_source = NoiseSource::estimate;
  Training training;
  training.learning_rate = 0.1 / c.inputs.eigenvalues[0];
  training.samples = static_cast<double>(n);
  training.batch = 10;
  c.inputs.training = training;
  return c;
}

void change_units(TheoryInputs& inputs, const Change& change) {
  const auto times = [](std::vector<double>& values, double factor) {
    for (double& v : values) v *= factor;
  };
  const double square = change.label * change.label;
  for (auto* values : {&inputs.eigenvalues, &inputs.raw_eigenvalues, &inputs.kernel}) {
    times(*values, change.kernel);
  }
  inputs.floor *= change.kernel;
  inputs.training->learning_rate /= change.kernel;
  for (auto& labels : inputs.labels) {
    times(labels.values, change.label);
    times(labels.projections, change.label);
  }
  times(inputs.reference, change.label);
  for (auto* values : {&inputs.labels[0].noise_variances, &inputs.labels[0].noise_modes,
                       &inputs.reference_variance}) {
    times(*values, square);
  }
}

TEST(Properties, UnitsOfKernelAndLabels) {
  Draw draw(1);
  for (std::uint64_t number = 0; number < 5; ++number) {
    SCOPED_TRACE(number);
    auto c = random_case(draw, number);
    c.inputs.floor = 1e-12 * c.inputs.eigenvalues[0];
    const auto before = theory_summary(c.inputs);
    const Change change{std::pow(10.0, 12 * draw.uniform() - 6),
                        std::pow(10.0, 6 * draw.uniform() - 3)};
    change_units(c.inputs, change);
    auto after = theory_summary(c.inputs);
    // A learning rate has the inverse unit of the kernel, its quantity none.
    for (auto* report : {&after}) {
      auto& rate = report->at("training").at("largest_stable_learning_rate").at("value");
      rate = rate.get<double>() * change.kernel;
    }
    EXPECT_GT(expect_changed(before, after, change, 1e-5, ""), number == 0 ? 250u : 150u);
  }
}

TEST(Properties, ShiftOfTheLabels) {
  Draw draw(2);
  for (std::uint64_t number = 0; number < 4; ++number) {
    auto c = random_case(draw, number);
    const auto before = theory_summary(c.inputs);
    for (double& v : c.inputs.labels[0].values) v += 37;
    for (double& v : c.inputs.reference) v += 37;
    expect_changed(before, theory_summary(c.inputs), {}, 1e-5, std::to_string(number));
  }
}

std::vector<std::size_t> random_order(std::size_t n, std::uint64_t seed) {
  std::vector<std::size_t> order(n);
  std::iota(order.begin(), order.end(), std::size_t{0});
  shuffle(order, seed);
  return order;
}

// All but what is drawn by row numbers.
TEST(Properties, OrderOfTheRows) {
  Draw draw(3);
  for (std::uint64_t number = 0; number < 4; ++number) {
    auto c = random_case(draw, number);
    auto kernel = c.inputs.kernel;
    c.inputs.kernel.clear();
    c.inputs.subset.clear();
    const auto before = theory_summary(c.inputs);
    const auto order = random_order(c.n, number);
    kernel = sub_matrix(kernel, c.n, order, order);
    centre_kernel(kernel, c.n);
    const auto e = test::scaled_eigen(kernel, c.n);
    c.inputs.eigenvalues = e.values;
    auto& labels = c.inputs.labels[0];
    labels.values = at_rows(labels.values, order);
    labels.projections = project(e, labels.values);
    c.inputs.labels[0].noise_variances = at_rows(c.inputs.labels[0].noise_variances, order);
    c.inputs.labels[0].noise_modes = project_variances(e, c.inputs.labels[0].noise_variances);
    expect_changed(before, theory_summary(c.inputs), {}, 1e-5, std::to_string(number));
  }
}

StudyRows study_rows_of(const TheoryInputs& inputs) {
  StudyRows rows;
  rows.kernel = inputs.kernel;
  rows.labels = {{"target", inputs.labels[0].values, inputs.labels[0].noise_variances,
                  inputs.reference, inputs.reference_variance}};
  for (std::size_t i = 0; i < inputs.reference.size(); ++i) {
    rows.group.push_back(static_cast<std::int64_t>(i / 3));
  }
  return rows;
}

json study_of(const StudyRows& rows, const StudyPlan& plan) {
  std::vector<json> points;
  for (const auto& point : study_points(plan)) points.push_back(study_point(rows, plan, point));
  return study_report(rows, plan, points);
}

TEST(Properties, LearningStudy) {
  Draw draw(4);
  for (std::uint64_t number = 0; number < 3; ++number) {
    SCOPED_TRACE(number);
    auto inputs = test::make_inputs(210, 1, 950 + number);
    // Enough noise that every rule stops somewhere, and not at one of many equal points.
    for (double& v : inputs.labels[0].values) v += std::sqrt(0.5) * draw.normal();
    inputs.labels[0].noise_variances.assign(210, 0.5 + test::noise);
    const auto rows = study_rows_of(inputs);
    const auto plan = plan_study(draw_study_split(rows, 40, number), {30, 84}, 2, number);
    const auto before = study_of(rows, plan);
    EXPECT_GT(before.at("labels").at(0).at("rules").size(), 11u);
    EXPECT_EQ(before.at("labels").at(0).at("corrected").is_null(), number == 2);  // too noisy

    const Change change{std::pow(10.0, 12 * draw.uniform() - 6),
                        std::pow(10.0, 6 * draw.uniform() - 3)};
    inputs.training.emplace();
    auto changed = inputs;
    change_units(changed, change);
    EXPECT_GT(expect_changed(before, study_of(study_rows_of(changed), plan), change, 1e-5, "units"),
              250u);

    auto shifted = rows;
    for (double& v : shifted.labels[0].values) v -= 11;
    for (double& v : shifted.labels[0].reference) v -= 11;
    expect_changed(before, study_of(shifted, plan), {}, 1e-5, "shift");

    // Row i becomes row place[i]: the same rows are drawn where the plan moves with them.
    const auto order = random_order(rows.rows(), number);
    std::vector<std::size_t> place(order.size());
    for (std::size_t i = 0; i < order.size(); ++i) place[order[i]] = i;
    StudyRows moved;
    moved.kernel = sub_matrix(rows.kernel, rows.rows(), order, order);
    moved.group = at_rows(rows.group, order);
    const auto& of = rows.labels[0];
    moved.labels = {{of.name, at_rows(of.values, order), at_rows(of.noise_variances, order),
                     at_rows(of.reference, order), at_rows(of.reference_variance, order)}};
    auto moved_plan = plan;
    moved_plan.split.pool = at_rows(place, plan.split.pool);
    moved_plan.split.test = at_rows(place, plan.split.test);
    expect_changed(before, study_of(moved, moved_plan), {}, 1e-5, "order");
  }
}

}  // namespace
}  // namespace ntk::theory
