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
                    const BlockLabels& data, std::uint64_t seed) {
  const auto kernel = sub_matrix(rows.kernel, rows.rows(), split.train, split.train);
  const auto corrected = corrected_risk(kernel, modes, data.labels, data.noise_variances,
                                        at_rows(rows.group, split.train), seed);
  if (!corrected) return nullptr;
  return {{"risk", corrected->risk},
          {"low", corrected->low()},
          {"high", corrected->high()},
          {"plug_in", corrected->plug_in.back().risk}};
}

BlockLabels block_labels(const StudyLabels& labels, const StudyPlan& plan, const Split& split) {
  BlockLabels block{at_rows(labels.values, split.train),
                    at_rows(labels.noise_variances, split.train),
                    at_rows(labels.reference, split.train),
                    at_rows(labels.reference_variance, split.train),
                    at_rows(labels.reference, split.test),
                    at_rows(labels.reference_variance, split.test),
                    plan.split.part};
  if (labels.reference.empty()) {
    // The labels' own noise takes the reference's place.
    block.test_reference = at_rows(labels.values, split.test);
    block.test_reference_variance = at_rows(labels.noise_variances, split.test);
    if (labels.noise_variances.empty()) {
      block.test_reference_variance.assign(split.test.size(), 0.0);
    }
  }
  return block;
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

StudySplit draw_study_split(const StudyRows& rows, std::size_t test_rows, std::uint64_t seed) {
  const std::size_t n = rows.rows();
  StudySplit split;
  split.test = draw_split(n, rows.group, 0, test_rows, seed).test;
  split.part = parts_of_rows(test_rows, at_rows(rows.group, split.test), seed);
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
  const std::size_t n = plan.sizes[point.size], draw = point.draw;
  const auto pool_group = at_rows(rows.group, plan.split.pool);
  Split split{{}, plan.split.test};
  for (const std::size_t r :
       draw_split(plan.split.pool.size(), pool_group, n, 0, plan.seed + draw).train) {
    split.train.push_back(plan.split.pool[r]);
  }
  const Block block = make_block(rows.kernel, rows.rows(), split, rows.group, plan.seed + draw);
  const auto values = std::span(block.modes.eigen.values).first(block.modes.modes);
  std::vector<std::vector<double>> factors;  // of the evaluation sets
  for (const auto& set : rows.evaluate) {
    factors.push_back(held_out_factor(
        block.modes, columns_of(set.kernel, set.rows, rows.rows(), split.train), set.rows));
  }
  json result{{"n", n}, {"draw", draw}, {"labels", json::array()}};
  for (std::size_t l = 0; l < rows.labels.size(); ++l) {
    const auto& labels = rows.labels[l];
    const auto data = block_labels(labels, plan, split);
    double square = 0;
    for (const double v : centred(data.labels)) square += v * v;
    if (block.modes.modes < 2 || !(square > 0)) {
      result["labels"].push_back(nullptr);
      continue;
    }
    const auto path = eta_grid(values, study_path_points);
    const auto risks = rule_risks(block, data, path);
    json set{{"noise", risks.noise},
             {"norm2", number(risks.norm2)},
             {"rules", point_rules(risks.rules)}};
    const auto fit = fit_labels(block.modes, data.labels);
    for (std::size_t e = 0; e < rows.evaluate.size(); ++e) {
      const auto& judge = rows.evaluate[e];
      if (!judge.labels.at(l).missing.empty()) continue;
      set["evaluate"][judge.name]["rules"] =
          point_rules(judge_rules(fit, factors[e], risks.stops, path, judge.judged(l)));
    }
    if (point.size + 1 == plan.sizes.size()) {
      const std::vector<double> at(plan.sizes.begin(), plan.sizes.end());
      if (!data.noise_variances.empty()) {
        set["corrected"] = corrected_json(rows, block.modes, split, data, plan.seed + draw);
      }
      set["plug_in"] = json::array();
      for (const auto& p : plug_in_curve(values, ridge_curve(values, static_cast<double>(n)),
                                         risks.labels, risks.noise, at)) {
        set["plug_in"].push_back(p.usable() ? json(p.risk) : json(nullptr));
      }
    }
    result["labels"].push_back(std::move(set));
  }
  return result;
}

}  // namespace ntk::theory
