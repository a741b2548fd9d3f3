#include "theory/learning_study.hpp"

#include <algorithm>
#include <cmath>
#include <map>

#include "base/error.hpp"
#include "theory/extrapolation.hpp"
#include "theory/learning_curve.hpp"
#include "theory/linear_algebra.hpp"
#include "theory/report_parts.hpp"
#include "theory/rule_risks.hpp"

namespace ntk::theory {

using nlohmann::json;

namespace {

constexpr std::size_t study_path_points = 120;
constexpr std::size_t random_parts = 64;

json rules_json(const RuleRisks& risks) {
  json rules = json::array();
  for (const auto& rule : risks.rules) {
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
          {"plug_in", corrected->plug_in.back().risk},
          {"leave_one_out", corrected->leave_one_out.back().risk}};
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

}  // namespace

std::size_t StudyRows::rows() const {
  return static_cast<std::size_t>(std::llround(std::sqrt(static_cast<double>(kernel.size()))));
}

StudySplit draw_study_split(const StudyRows& rows, std::size_t test_rows, std::uint64_t seed) {
  const std::size_t n = rows.rows();
  StudySplit split;
  split.test = draw_split(n, rows.group, 0, test_rows, seed).test;
  std::map<std::int64_t, std::size_t> tested;  // group, its part
  std::vector<bool> in_test(n, false);
  for (const std::size_t r : split.test) {
    in_test[r] = true;
    if (!rows.group.empty()) {
      split.part.push_back(tested.emplace(rows.group[r], tested.size()).first->second);
    }
  }
  for (std::size_t r = 0; r < n; ++r) {
    const bool shared = !rows.group.empty() && tested.contains(rows.group[r]);
    if (!in_test[r] && !shared) split.pool.push_back(r);
  }
  if (rows.group.empty()) {
    for (std::size_t i = 0; i < test_rows; ++i) split.part.push_back(i % random_parts);
    shuffle(split.part, seed);
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
  json result{{"n", n}, {"draw", draw}, {"labels", json::array()}};
  for (const auto& labels : rows.labels) {
    const auto data = block_labels(labels, plan, split);
    double square = 0;
    for (const double v : centred(data.labels)) square += v * v;
    if (block.modes.modes < 2 || !(square > 0)) {
      result["labels"].push_back(nullptr);
      continue;
    }
    const auto risks = rule_risks(block, data, eta_grid(values, study_path_points));
    json set{{"noise", risks.noise}, {"norm2", number(risks.norm2)}, {"rules", rules_json(risks)}};
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
