// theory.json's "tasks" (task_vectors.hpp).
#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/error.hpp"
#include "theory/linear_algebra.hpp"
#include "theory/report_parts.hpp"
#include "theory/task_vectors.hpp"

namespace ntk::theory {

using nlohmann::json;

namespace {

constexpr std::size_t leading_modes = 10;
constexpr int coefficient_steps = 8;  // 0, 0.25 ... 2

double norm(std::span<const double> values) {
  return std::sqrt(std::inner_product(values.begin(), values.end(), values.begin(), 0.0));
}

std::vector<double> scaled_sum(std::span<const TaskVector> vectors, double coefficient) {
  std::vector<double> sum(vectors.front().update.size(), 0.0);
  for (const auto& vector : vectors) {
    for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += coefficient * vector.update[i];
  }
  return sum;
}

double relative_difference(std::span<const double> a, std::span<const double> b,
                           std::span<const std::size_t> rows) {
  std::vector<double> difference;
  for (const std::size_t i : rows) difference.push_back(a[i] - b[i]);
  return norm(difference) / norm(at_rows(b, rows));
}

// Of one half of the rows with the other: what few rows leave of 1.
double alignment_of_halves(std::span<const double> kernel, std::size_t n,
                           std::span<const std::size_t> rows) {
  std::vector<std::size_t> halves[2];
  for (std::size_t i = 0; i < rows.size(); ++i) halves[i % 2].push_back(rows[i]);
  return task_alignment(kernel, n, halves[0], halves[1]);
}

// Each task's part of the joint kernel's spectrum on the training rows.
json joint_spectrum(std::span<const double> kernel, std::size_t n, std::span<const Split> splits,
                    const std::vector<std::string>& task_names) {
  std::vector<std::size_t> all, task;
  for (std::size_t t = 0; t < splits.size(); ++t) {
    all.insert(all.end(), splits[t].train.begin(), splits[t].train.end());
    task.insert(task.end(), splits[t].train.size(), t);
  }
  const std::size_t m = all.size();
  auto joint = sub_matrix(kernel, n, all, all);
  for (double& v : joint) v /= static_cast<double>(m);
  const auto eigen = eigen_symmetric(std::move(joint), m);
  double trace = 0, squares = 0, leading = 0;
  const std::size_t first = std::min(leading_modes, m);
  std::vector<double> share(splits.size(), 0.0), share_leading(splits.size(), 0.0);
  for (std::size_t k = 0; k < m; ++k) {
    trace += eigen.values[k];
    squares += eigen.values[k] * eigen.values[k];
    if (k < first) leading += eigen.values[k];
    for (std::size_t i = 0; i < m; ++i) {
      const double part = eigen.values[k] * std::pow(eigen.vectors[k * m + i], 2);
      share[task[i]] += part;
      if (k < first) share_leading[task[i]] += part;
    }
  }
  json shares = json::object();
  for (std::size_t t = 0; t < splits.size(); ++t) {
    shares[task_names[t]] = {
        {"rows", static_cast<double>(splits[t].train.size()) / static_cast<double>(m)},
        {"trace", number(share[t] / trace)},
        {"leading", number(share_leading[t] / leading)}};
  }
  return {
      {"rule",
       "of the joint kernel of all training rows over their number; shares of its trace, and of "
       "its leading eigenvalues, that lie on a task's rows"},
      {"rows", m},
      {"leading_modes", first},
      {"trace", quantity(trace, "K/n", "sum of l_k")},
      {"l_1_share", quantity(eigen.values[0] / trace, "1", "l_1 / trace")},
      {"participation_ratio",
       quantity(trace * trace / squares, "modes", "(sum l_k)^2 / sum l_k^2")},
      {"shares", shares}};
}

}  // namespace

json task_reports(ReportContext& context) {
  const auto& inputs = context.inputs;
  json reports = json::array();
  if (inputs.rows_per_sample != 1 || inputs.kernel.empty()) {
    context.limits.push_back("no task vectors: they are made of kernels with one row a sample");
    return reports;
  }
  const auto pick = [&](const auto& values) { return at_rows(values, inputs.subset); };
  for (const auto& labels : inputs.labels) {
    try {
      reports.push_back(tasks_report(
          {inputs.kernel, pick(inputs.task), inputs.tasks, pick(inputs.group), pick(labels.values),
           pick(inputs.reference), pick(inputs.reference_variance)},
          inputs.seed));
      reports.back()["name"] = labels.name;
    } catch (const Error& error) {
      if (error.code() != ExitCode::input) throw;
      context.limits.push_back("no task vectors: " + std::string(error.what()));
      return json::array();
    }
  }
  return reports;
}

json tasks_report(const TaskRows& rows, std::uint64_t seed) {
  const std::size_t n = rows.rows(), count = rows.names.size();
  const auto splits = split_tasks(rows, seed);
  const auto kernel = centre_kernel_by_task(rows.kernel, rows.task, splits);
  const auto labels = centre_by_task(rows.labels, rows.task, splits);
  // The reference less what the intercept, the mean of the training labels, says already.
  const bool judged = !rows.reference.empty();
  auto truth = judged ? rows.reference : rows.labels;
  for (std::size_t i = 0; i < n; ++i) truth[i] -= rows.labels[i] - labels[i];
  const std::vector<double> variance =
      judged ? rows.reference_variance : std::vector<double>(n, 0.0);
  const auto risk = [&](std::span<const double> update, std::span<const std::size_t> at) {
    return measured_risk(at_rows(update, at), at_rows(truth, at), at_rows(variance, at));
  };
  std::vector<TaskVector> vectors;
  std::vector<std::size_t> all, tested;
  for (const auto& split : splits) {
    vectors.push_back(fit_task_vector(kernel, n, labels, split.train));
    all.insert(all.end(), split.train.begin(), split.train.end());
    tested.insert(tested.end(), split.test.begin(), split.test.end());
  }
  const auto together = fit_task_vector(kernel, n, labels, all, count);
  const auto sum = scaled_sum(vectors, 1);
  const std::vector<double> nothing(n, 0.0);

  json report{{"unit", "y^2"},
              {"rule",
               "task vectors: gradient flow on one task's training rows, stopped by GCV, an "
               "intercept for each task; risks on its test rows; updates of the linearised model "
               "add exactly, so what is compared is their sum with training on all tasks"},
              {"judged_by", judged ? "reference" : "labels"},
              {"tasks", json::array()},
              {"pairs", json::array()},
              {"scaling", json::array()}};
  for (std::size_t t = 0; t < count; ++t) {
    const auto& split = splits[t];
    std::vector<double> others = sum;
    for (std::size_t i = 0; i < n; ++i) others[i] -= vectors[t].update[i];
    report["tasks"].push_back(
        {{"name", rows.names[t]},
         {"training_rows", split.train.size()},
         {"test_rows", split.test.size()},
         {"alignment_of_halves",
          quantity(alignment_of_halves(kernel, n, split.train), "1",
                   "of every other training row with the rest: what the same task reaches")},
         {"eta", quantity(vectors[t].eta, "1/l of K/n", "GCV on its training rows")},
         {"null", number(risk(nothing, split.test))},
         {"own_vector", number(risk(vectors[t].update, split.test))},
         {"other_vectors", number(risk(others, split.test))},
         {"sum", number(risk(sum, split.test))},
         {"together", number(risk(together.update, split.test))},
         {"interference",
          quantity(norm(at_rows(others, split.test)) / norm(at_rows(vectors[t].update, split.test)),
                   "1", "|updates of the other vectors| / |update of its own|, on its test rows")},
         {"additivity_error",
          quantity(
              relative_difference(sum, together.update, split.test), "1",
              "|sum of updates - update trained together| / |the latter|, on its test rows")}});
    for (std::size_t other = t + 1; other < count; ++other) {
      report["pairs"].push_back(
          {{"tasks", {rows.names[t], rows.names[other]}},
           {"alignment", quantity(task_alignment(kernel, n, split.train, splits[other].train), "1",
                                  "|K_ab|_F^2 / (|K_aa|_F |K_bb|_F) on training rows")}});
    }
  }
  report["additivity_error"] =
      quantity(relative_difference(sum, together.update, tested), "1",
               "|sum of updates - update trained together| / |the latter|, on all test rows");
  for (int step = 0; step <= coefficient_steps; ++step) {
    const double coefficient = 0.25 * step;
    const auto update = scaled_sum(vectors, coefficient);
    json point{{"coefficient", coefficient}, {"risks", json::object()}};
    double mean_risk = 0;
    for (std::size_t t = 0; t < count; ++t) {
      const double at = risk(update, splits[t].test);
      point["risks"][rows.names[t]] = number(at);
      mean_risk += at / static_cast<double>(count);
    }
    point["mean"] = number(mean_risk);
    report["scaling"].push_back(std::move(point));
  }
  report["joint_spectrum"] = joint_spectrum(kernel, n, splits, rows.names);
  return report;
}

}  // namespace ntk::theory
