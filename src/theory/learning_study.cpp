#include "theory/learning_study.hpp"

#include <algorithm>
#include <cmath>
#include <set>

#include "base/error.hpp"
#include "theory/extrapolation.hpp"
#include "theory/learning_curve.hpp"
#include "theory/linear_algebra.hpp"
#include "theory/report_parts.hpp"
#include "theory/resampling.hpp"
#include "theory/rule_risks.hpp"

namespace ntk::theory {

using nlohmann::json;

namespace {

constexpr std::size_t shown_path_points = 60;
constexpr std::size_t study_path_points = 120;

json point_rules(std::span<const RuleRisk> risks) {
  json rules = json::array();
  for (const auto& rule : risks) {
    rules.push_back({{"rule", rule.rule},
                     {"eta", number(rule.eta)},
                     {"risk", rule.risk},
                     {"in_sample", number(rule.in_sample)},
                     {"parts", rule.parts}});
  }
  return rules;
}

// Predicted at the training set's own size, without a look at the test rows.
json corrected_json(const StudyRows& rows, const HeldOutModes& modes, const Split& split,
                    const BlockLabels& data, bool single_rows, std::uint64_t seed) {
  const auto kernel = sub_matrix(rows.kernel, rows.rows(), split.train, split.train);
  const auto corrected = corrected_risk(kernel, modes, data.labels, data.noise_variances,
                                        at_rows(rows.group, split.train), single_rows, seed);
  if (!corrected) return nullptr;
  return {{"risk", corrected->risk},
          {"low", corrected->low()},
          {"high", corrected->high()},
          {"plug_in", corrected->plug_in.back().risk},
          {"leave_one_out", corrected->leave_one_out.back().risk}};
}

// Of the rows of the split's samples.
BlockLabels block_labels(const StudyLabels& labels, const StudyPlan& plan, const Split& split,
                         std::size_t outputs, bool head_fitted_on_labels) {
  const auto train = rows_of_samples(split.train, outputs),
             test = rows_of_samples(split.test, outputs);
  BlockLabels block{at_rows(labels.values, train),
                    at_rows(labels.noise_variances, train),
                    at_rows(labels.reference, train),
                    at_rows(labels.reference_variance, train),
                    at_rows(labels.reference, test),
                    at_rows(labels.reference_variance, test),
                    {},
                    head_fitted_on_labels};
  for (const std::size_t p : plan.split.part) {
    block.test_part.insert(block.test_part.end(), outputs, p);
  }
  if (labels.reference.empty()) {
    // The labels' own noise takes the reference's place.
    block.test_reference = at_rows(labels.values, test);
    block.test_reference_variance = at_rows(labels.noise_variances, test);
    if (labels.noise_variances.empty()) block.test_reference_variance.assign(test.size(), 0.0);
  }
  return block;
}

void check_finite(const StudyRows& rows) {
  const auto finite = [](const std::vector<double>& values) {
    return std::ranges::all_of(values, [](double v) { return std::isfinite(v); });
  };
  require(finite(rows.kernel), ExitCode::numerical,
          "the kernel holds a value that is not finite (its file may be damaged) check it with "
          "`ntk kernel --verify`, or make it again");
  for (const auto& labels : rows.labels) {
    require(finite(labels.values) && finite(labels.noise_variances) && finite(labels.reference) &&
                finite(labels.reference_variance),
            ExitCode::input,
            "label set {} holds a label, reference or variance that is not finite (risks would "
            "mean nothing) correct the data file",
            labels.name);
  }
}

// Risks along the path of gradient descent, out of sample and in sample.
json path_json(const Block& block, const BlockLabels& data, const LabelFit& fit) {
  const auto path =
      eta_grid(std::span(block.modes.eigen.values).first(block.modes.modes), shown_path_points);
  auto risks = path_risks(fit, block.modes.factor, path,
                          {data.test_reference, data.test_reference_variance, {}});
  if (!data.train_reference.empty()) {
    risks["in_sample"] = path_risks(fit, in_sample_factor(block.modes), path,
                                    {data.train_reference, data.train_reference_variance, {}})
                             .at("flow");
  }
  return risks;
}

json point_classes(const std::vector<ErrorRate>& rates) {
  json rules = json::array();
  for (const auto& rate : rates) {
    rules.push_back(
        {{"rule", rate.rule}, {"eta", nullptr}, {"risk", rate.rate}, {"parts", rate.parts}});
  }
  return rules;
}

// Columns of a row-major (rows, n) matrix.
std::vector<double> columns_of(std::span<const double> matrix, std::size_t rows, std::size_t n,
                               std::span<const std::size_t> columns) {
  std::vector<double> result;
  result.reserve(rows * columns.size());
  for (std::size_t i = 0; i < rows; ++i) {
    for (const std::size_t j : columns) result.push_back(matrix[i * n + j]);
  }
  return result;
}

}  // namespace

std::size_t StudyRows::rows() const {
  return static_cast<std::size_t>(std::llround(std::sqrt(static_cast<double>(kernel.size()))));
}

StudySplit draw_study_split(const StudyRows& rows, std::size_t test_samples, std::uint64_t seed) {
  const std::size_t n = rows.samples();
  check_finite(rows);
  StudySplit split;
  split.test = draw_split(n, rows.group, 0, test_samples, seed).test;
  split.part = parts_of_rows(test_samples, at_rows(rows.group, split.test), seed);
  std::set<std::int64_t> tested;
  std::vector<bool> in_test(n, false);
  for (const std::size_t r : split.test) {
    in_test[r] = true;
    if (!rows.group.empty()) tested.insert(rows.group[r]);
  }
  for (std::size_t r = 0; r < n; ++r) {
    const bool shared = !rows.group.empty() && tested.contains(rows.group[r]);
    if (!in_test[r] && !shared) split.pool.push_back(r);
  }
  return split;
}

StudyPlan plan_study(StudySplit split, std::vector<std::size_t> sizes, std::size_t seeds,
                     std::uint64_t seed) {
  std::sort(sizes.begin(), sizes.end());
  require(!sizes.empty() && seeds > 0, ExitCode::usage,
          "a learning curve needs sizes and seeds ({} and {} are given) correct the job file",
          sizes.size(), seeds);
  require(sizes.front() >= least_training_rows && sizes.back() <= split.pool.size() / 2,
          ExitCode::usage,
          "training sets of {} to {} rows do not fit (each needs at least {}, and at most half of "
          "the {} rows that are left beside {} test rows, or all seeds would draw nearly the same) "
          "change theory.sizes or theory.test_samples, or use a kernel of more samples",
          sizes.front(), sizes.back(), least_training_rows, split.pool.size(), split.test.size());
  return {std::move(split), std::move(sizes), seeds, seed};
}

std::vector<StudyPoint> study_points(const StudyPlan& plan) {
  std::vector<StudyPoint> points;
  for (std::size_t s = plan.sizes.size(); s-- > 0;) {
    for (std::size_t d = 0; d < plan.seeds; ++d) points.push_back({s, d});
  }
  return points;
}

json study_point(const StudyRows& rows, const StudyPlan& plan, const StudyPoint& point) {
  const std::size_t n = plan.sizes[point.size], draw = point.draw, outputs = rows.outputs;
  auto pool_group = at_rows(rows.group, plan.split.pool);
  if (plan.single_rows) pool_group.clear();
  Split split{{}, plan.split.test};
  for (const std::size_t r :
       draw_split(plan.split.pool.size(), pool_group, n, 0, plan.seed + draw).train) {
    split.train.push_back(plan.split.pool[r]);
  }
  const Block block =
      make_block(rows.kernel, rows.rows(), split, rows.group, plan.seed + draw, 5, outputs);
  const auto values = std::span(block.modes.eigen.values).first(block.modes.modes);
  const std::size_t sets = rows.evaluate.size();
  std::vector<std::vector<double>> factors;  // of the evaluation sets
  for (const auto& set : rows.evaluate) {
    factors.push_back(held_out_factor(
        block.modes,
        columns_of(set.kernel, set.rows, rows.rows(), rows_of_samples(split.train, outputs)),
        set.rows));
  }
  json result{{"n", n}, {"draw", draw}, {"labels", json::array()}, {"classes", nullptr}};
  // By label set: rules on the test set, on each evaluation set; the constants of the labels.
  std::vector<std::vector<std::vector<RuleRisk>>> risks_on(
      sets + 1, std::vector<std::vector<RuleRisk>>(rows.labels.size()));
  std::vector<std::vector<double>> means;
  for (std::size_t l = 0; l < rows.labels.size(); ++l) {
    const auto& labels = rows.labels[l];
    const auto data = block_labels(labels, plan, split, outputs, rows.head_fitted_on_labels);
    means.push_back(output_means(data.labels, outputs));
    double square = 0;
    for (const double v : centred(data.labels, outputs)) square += v * v;
    if (block.modes.modes < 2 || !(square > 0)) {
      result["labels"].push_back(nullptr);
      continue;
    }
    const auto path = eta_grid(values, study_path_points);
    auto risks = rule_risks(block, data, path);
    json set{{"noise", risks.noise},
             {"norm2", number(risks.norm2)},
             {"rules", point_rules(risks.rules)}};
    const auto fit = fit_labels(block.modes, data.labels);
    for (std::size_t e = 0; e < sets; ++e) {
      const auto& judge = rows.evaluate[e];
      if (!judge.labels.at(l).missing.empty()) continue;
      risks_on[e + 1][l] = judge_rules(fit, factors[e], risks.stops, path, judge.judged(l));
      set["evaluate"][judge.name]["rules"] = point_rules(risks_on[e + 1][l]);
    }
    if (point.size + 1 == plan.sizes.size()) {
      std::vector<double> at;
      for (const std::size_t size : plan.sizes) at.push_back(static_cast<double>(size * outputs));
      if (!data.noise_variances.empty() && outputs == 1) {
        set["corrected"] =
            corrected_json(rows, block.modes, split, data, plan.single_rows, plan.seed + draw);
      }
      set["plug_in"] = json::array();
      for (const auto& p : plug_in_curve(values, ridge_curve(values, risks.labels.n), risks.labels,
                                         risks.noise, at)) {
        set["plug_in"].push_back(p.usable() ? json(p.risk) : json(nullptr));
      }
      if (draw == 0) set["path"] = path_json(block, data, fit);
    }
    risks_on[0][l] = std::move(risks.rules);
    result["labels"].push_back(std::move(set));
  }
  const auto rates =
      error_rates(at_samples(rows.truth, split.test), plan.split.part, risks_on[0], means);
  if (!rates.empty()) result["classes"]["rules"] = point_classes(rates);
  for (std::size_t e = 0; e < sets; ++e) {
    const auto& judge = rows.evaluate[e];
    const auto on_set = error_rates(judge.truth, judge.part, risks_on[e + 1], means);
    if (!on_set.empty()) {
      result["classes"]["evaluate"][judge.name]["rules"] = point_classes(on_set);
    }
  }
  return result;
}

}  // namespace ntk::theory
