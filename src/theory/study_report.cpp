// The points of a learning study put together.
#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <numeric>

#include "base/error.hpp"
#include "theory/learning_study.hpp"
#include "theory/linear_algebra.hpp"
#include "theory/report_parts.hpp"
#include "theory/resampling.hpp"
#include "theory/rule_risks.hpp"

namespace ntk::theory {

using nlohmann::json;

namespace {

constexpr double missing = std::numeric_limits<double>::quiet_NaN();

double value_or_nan(const json& j) {
  return j.is_number() ? j.get<double>() : missing;
}
json numbers(std::span<const double> values) {
  json list = json::array();
  for (const double v : values) list.push_back(number(v));
  return list;
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const std::size_t middle = values.size() / 2;
  return values.size() % 2 ? values[middle] : 0.5 * (values[middle - 1] + values[middle]);
}

// log risk on log n.
double slope(std::span<const std::size_t> sizes, std::span<const double> risks) {
  std::vector<double> x, y;
  for (std::size_t s = 0; s < sizes.size(); ++s) {
    if (!(risks[s] > 0)) return missing;
    x.push_back(std::log(static_cast<double>(sizes[s])));
    y.push_back(std::log(risks[s]));
  }
  return x.size() < 2 ? missing : fit_line(x, y, std::vector<double>(x.size(), 1.0)).slope;
}

json slope_json(double value, const std::vector<double>& resampled) {
  const auto [low, high] = interval(resampled);
  return {{"value", number(value)}, {"low", number(low)}, {"high", number(high)}};
}

// One rule on one label set, by size and draw; draws in which it is undefined are absent.
struct RuleTable {
  std::vector<std::vector<double>> eta, risk, in_sample;  // [size][draw]
  std::vector<std::vector<std::vector<double>>> parts;    // [size][draw][part]
};

double resampled_risk(const RuleTable& table, std::size_t size, const Resample& by) {
  const auto& parts = table.parts[size];
  double sum = 0;
  for (const std::size_t d : by.draws) sum += weighted(by, parts[d % parts.size()]);
  return sum / static_cast<double>(by.draws.size());
}

// Slope of the median stopping time on the size; `by` null: the draws as they are.
double eta_slope(const StudyPlan& plan, const RuleTable& table, const Resample* by) {
  std::vector<double> medians;
  for (const auto& eta : table.eta) {
    std::vector<double> values = eta;
    if (by != nullptr) {
      values.clear();
      for (const std::size_t d : by->draws) values.push_back(eta[d % eta.size()]);
    }
    medians.push_back(median(std::move(values)));
    if (!std::isfinite(medians.back())) return missing;
  }
  return slope(plan.sizes, medians);
}

// Finds a list of rules in a point; null where it has none.
using RulesOf = std::function<const json*(const json& point)>;

const json* rules_of(const json& judged, const std::string& evaluation) {
  if (judged.is_null()) return nullptr;
  if (evaluation.empty()) return judged.contains("rules") ? &judged.at("rules") : nullptr;
  if (!judged.contains("evaluate") || !judged.at("evaluate").contains(evaluation)) return nullptr;
  return &judged.at("evaluate").at(evaluation).at("rules");
}
// Of a label set judged by the test set, or by the evaluation set of this name.
RulesOf of_label(std::size_t label, const std::string& evaluation = "") {
  return [=](const json& point) { return rules_of(point.at("labels").at(label), evaluation); };
}
// Error rates of classes.
RulesOf of_classes(const std::string& evaluation = "") {
  return [=](const json& point) {
    return point.contains("classes") ? rules_of(point.at("classes"), evaluation) : nullptr;
  };
}

RuleTable table_of(const StudyPlan& plan, std::span<const json> points, const RulesOf& rules,
                   const std::string& rule) {
  RuleTable table;
  const std::size_t sizes = plan.sizes.size();
  table.eta.resize(sizes), table.risk.resize(sizes), table.in_sample.resize(sizes);
  table.parts.resize(sizes);
  for (std::size_t s = 0; s < sizes; ++s) {
    for (const auto& point : points) {
      if (point.at("n").get<std::size_t>() != plan.sizes[s]) continue;
      const json* entries = rules(point);
      if (entries == nullptr) continue;
      for (const auto& entry : *entries) {
        if (entry.at("rule") != rule) continue;
        const auto& eta = entry.at("eta");
        table.eta[s].push_back(eta.is_null() ? std::numeric_limits<double>::infinity()
                                             : eta.get<double>());
        table.risk[s].push_back(entry.at("risk").get<double>());
        table.in_sample[s].push_back(value_or_nan(entry.value("in_sample", json())));
        table.parts[s].push_back(entry.at("parts").get<std::vector<double>>());
      }
    }
  }
  return table;
}

bool complete(const RuleTable& table) {
  return std::none_of(table.risk.begin(), table.risk.end(),
                      [](const auto& draws) { return draws.empty(); });
}

std::vector<double> means(const std::vector<std::vector<double>>& by_size) {
  std::vector<double> result;
  for (const auto& draws : by_size) result.push_back(mean(draws));
  return result;
}

json rule_json(const StudyPlan& plan, const RuleName& name, const RuleTable& table,
               const RuleTable& oracle, std::span<const Resample> by) {
  const std::size_t sizes = plan.sizes.size();
  const auto risk = means(table.risk), in_sample = means(table.in_sample),
             best = means(oracle.risk);
  std::vector<double> low, high, ratio, ratio_low, ratio_high, eta, slopes, eta_slopes;
  std::vector<std::vector<double>> again(resamples);  // [resample][size]
  for (std::size_t s = 0; s < sizes; ++s) {
    std::vector<double> values, ratios;
    for (std::size_t b = 0; b < resamples; ++b) {
      again[b].push_back(resampled_risk(table, s, by[b]));
      values.push_back(again[b].back());
      ratios.push_back(values.back() / resampled_risk(oracle, s, by[b]));
    }
    const auto of_risk = interval(values), of_ratio = interval(ratios);
    low.push_back(of_risk[0]), high.push_back(of_risk[1]);
    ratio.push_back(risk[s] / best[s]);
    ratio_low.push_back(of_ratio[0]), ratio_high.push_back(of_ratio[1]);
    eta.push_back(median(table.eta[s]));
  }
  for (const auto& risks : again) slopes.push_back(slope(plan.sizes, risks));
  for (const auto& r : by) eta_slopes.push_back(eta_slope(plan, table, &r));
  json local = json::array();
  for (std::size_t s = 1; s < sizes; ++s) {
    local.push_back(
        number(slope(std::span(plan.sizes).subspan(s - 1, 2), std::span(risk).subspan(s - 1, 2))));
  }
  return {{"rule", name.name},
          {"meaning", name.meaning},
          {"eta_median", numbers(eta)},
          {"eta_slope", slope_json(eta_slope(plan, table, nullptr), eta_slopes)},
          {"risk", numbers(risk)},
          {"low", numbers(low)},
          {"high", numbers(high)},
          {"to_oracle", numbers(ratio)},
          {"to_oracle_low", numbers(ratio_low)},
          {"to_oracle_high", numbers(ratio_high)},
          {"slope", slope_json(slope(plan.sizes, risk), slopes)},
          {"local_slopes", local},
          {"in_sample", numbers(in_sample)},
          {"in_sample_slope", number(slope(plan.sizes, in_sample))}};
}

// Predicted from the training rows of the largest size, draw by draw.
json plug_in_json(const StudyPlan& plan, std::span<const json> points, std::size_t label) {
  const std::size_t sizes = plan.sizes.size();
  std::vector<std::vector<double>> risks(sizes);
  std::vector<double> slopes;
  for (const auto& point : points) {
    const auto& set = point.at("labels").at(label);
    if (set.is_null() || !set.contains("plug_in")) continue;
    std::vector<double> curve;
    for (const auto& risk : set.at("plug_in")) curve.push_back(value_or_nan(risk));
    if (std::any_of(curve.begin(), curve.end(), [](double v) { return std::isnan(v); })) continue;
    for (std::size_t s = 0; s < sizes; ++s) risks[s].push_back(curve[s]);
    slopes.push_back(slope(plan.sizes, curve));
  }
  if (slopes.empty()) return nullptr;
  const auto risk = means(risks);
  std::vector<double> low, high;
  for (const auto& draws : risks) {
    const auto range = interval(draws);
    low.push_back(range[0]), high.push_back(range[1]);
  }
  return {{"rule",
           "predicted from the largest training sets; low and high are those of 95 % of "
           "the draws"},
          {"draws", slopes.size()},
          {"risk", numbers(risk)},
          {"low", numbers(low)},
          {"high", numbers(high)},
          {"slope", slope_json(slope(plan.sizes, risk), slopes)}};
}

// corrected_risk against what the same training sets reach on the test rows.
json corrected_json(const StudyPlan& plan, std::span<const json> points, std::size_t label,
                    const RuleTable& oracle) {
  std::vector<double> predicted, plug_in, left_out, off, low, high;
  double covered = 0;
  std::size_t draw = 0;
  for (const auto& point : points) {
    const auto& set = point.at("labels").at(label);
    if (point.at("n").get<std::size_t>() != plan.sizes.back() || set.is_null()) continue;
    const double measured = oracle.risk.back().at(draw++);
    if (!set.contains("corrected") || set.at("corrected").is_null()) continue;
    const auto& c = set.at("corrected");
    predicted.push_back(c.at("risk"));
    plug_in.push_back(c.at("plug_in"));
    left_out.push_back(c.at("leave_one_out"));
    low.push_back(c.at("low"));
    high.push_back(c.at("high"));
    off.push_back(predicted.back() / measured - 1);
    covered += low.back() <= measured && measured <= high.back();
  }
  if (predicted.empty()) return nullptr;
  const double of_mean = mean(oracle.risk.back());
  return {{"rule",
           "leave-one-out curve at n times measured over leave-one-out curve at n/2, from the rows "
           "of each largest training "
           "set alone; low and high are means of the draws' 95 % intervals; error is that of the "
           "mean over draws"},
          {"n", plan.sizes.back()},
          {"draws", predicted.size()},
          {"risk", mean(predicted)},
          {"low", mean(low)},
          {"high", mean(high)},
          {"measured", of_mean},
          {"error", mean(predicted) / of_mean - 1},
          {"plug_in_error", mean(plug_in) / of_mean - 1},
          {"leave_one_out_error", mean(left_out) / of_mean - 1},
          {"leverage_bias", mean(plug_in) / mean(left_out) - 1},
          {"scatter", std::sqrt(std::inner_product(off.begin(), off.end(), off.begin(), 0.0) /
                                static_cast<double>(off.size()))},
          {"covered", covered / static_cast<double>(predicted.size())}};
}

// One training set as an example: risks along its path, and where each rule stops on it.
json path_json(std::span<const json> points, std::size_t label) {
  for (const auto& point : points) {
    const auto& set = point.at("labels").at(label);
    if (set.is_null() || !set.contains("path")) continue;
    json path = set.at("path");
    path["n"] = point.at("n");
    path["draw"] = point.at("draw");
    path["stops"] = json::array();
    for (const auto& rule : set.at("rules")) {
      if (rule.at("rule") == "ridge_oracle") continue;  // not on the path
      path["stops"].push_back(
          {{"rule", rule.at("rule")}, {"eta", rule.at("eta")}, {"risk", rule.at("risk")}});
    }
    return path;
  }
  return nullptr;
}

// The rules of a label set, judged by the test set or an evaluation set.
json rules_json(const StudyPlan& plan, std::span<const json> points, std::size_t label,
                std::span<const Resample> by, const std::string& evaluation = "") {
  json rules = json::array();
  const auto of = of_label(label, evaluation);
  const auto oracle = table_of(plan, points, of, "oracle");
  for (const auto& name : rule_names()) {
    const auto table = table_of(plan, points, of, name.name);
    if (!complete(table) || !complete(oracle)) continue;
    rules.push_back(rule_json(plan, name, table, oracle, by));
    if (evaluation.empty()) continue;
    rules.back().erase("in_sample");
    rules.back().erase("in_sample_slope");
  }
  return rules;
}

json error_rates_json(const StudyPlan& plan, std::span<const json> points,
                      std::span<const Resample> by, const std::string& evaluation = "") {
  json rules = json::array();
  for (const auto& name : rule_names()) {
    const auto table = table_of(plan, points, of_classes(evaluation), name.name);
    if (!complete(table)) continue;
    std::vector<double> low, high;
    for (std::size_t s = 0; s < plan.sizes.size(); ++s) {
      std::vector<double> values;
      for (const auto& one : by) values.push_back(resampled_risk(table, s, one));
      const auto range = interval(values);
      low.push_back(range[0]), high.push_back(range[1]);
    }
    rules.push_back({{"rule", name.name},
                     {"error_rate", numbers(means(table.risk))},
                     {"low", numbers(low)},
                     {"high", numbers(high)}});
  }
  return rules;
}

json classes_json(const StudyRows& rows, const StudyPlan& plan, std::span<const json> points,
                  std::span<const Resample> by) {
  const auto rules = error_rates_json(plan, points, by);
  if (rules.empty()) return nullptr;
  json classes{{"rule",
                "share of samples whose class is not that of the largest prediction, every label "
                "set at its rule's own stop (oracles: of the squared error); intervals as above"},
               {"rules", rules},
               {"evaluate", nullptr}};
  for (const auto& set : rows.evaluate) {
    auto on_set =
        error_rates_json(plan, points, resample(set.part, plan.seeds, plan.seed), set.name);
    if (!on_set.empty()) classes["evaluate"][set.name]["rules"] = std::move(on_set);
  }
  return classes;
}

json evaluations_json(const StudyRows& rows, const StudyPlan& plan, std::span<const json> points,
                      std::size_t label) {
  json sets;
  for (const auto& set : rows.evaluate) {
    if (!set.labels.at(label).missing.empty()) continue;
    sets[set.name] = describe(set, label);
    sets[set.name]["rules"] =
        rules_json(plan, points, label, resample(set.part, plan.seeds, plan.seed), set.name);
  }
  return sets;
}

}  // namespace

json study_report(const StudyRows& rows, const StudyPlan& plan, std::span<const json> points) {
  ensure(points.size() == plan.sizes.size() * plan.seeds, "{} points of {} x {}", points.size(),
         plan.sizes.size(), plan.seeds);
  // By their draws: what is resampled together belongs together.
  std::vector<json> ordered(points.begin(), points.end());
  std::sort(ordered.begin(), ordered.end(), [](const json& a, const json& b) {
    return a.at("draw").get<std::size_t>() < b.at("draw").get<std::size_t>();
  });
  const auto by = resample(plan.split.part, plan.seeds, plan.seed);
  json report{
      {"unit", "y^2"},
      {"rule",
       "gradient flow and ridge on centred training kernels, intercept = training mean; risk = "
       "mean "
       "(f - reference)^2 - mean reference_variance on one test set for all draws; intervals of 95 "
       "% resample draws and parts of the test set"},
      {"sizes", plan.sizes},
      {"seeds", plan.seeds},
      {"test_rows", plan.split.test.size()},
      {"test_parts", by.front().weight.size()},
      {"pool_rows", plan.split.pool.size()},
      {"groups_kept_whole", !rows.group.empty()},
      {"outputs", rows.outputs},
      {"classes", classes_json(rows, plan, ordered, by)},
      {"training_rows_drawn",
       rows.group.empty() || plan.single_rows ? "singly" : "by whole groups"},
      {"labels", json::array()}};
  for (std::size_t label = 0; label < rows.labels.size(); ++label) {
    const auto& labels = rows.labels[label];
    json set{{"name", labels.name},
             {"judged_by", labels.reference.empty() ? "labels" : "reference"},
             {"excess", !labels.reference.empty() || !labels.noise_variances.empty()},
             {"rules", rules_json(plan, ordered, label, by)},
             {"evaluate", evaluations_json(rows, plan, ordered, label)}};
    const auto oracle = table_of(plan, ordered, of_label(label), "oracle");
    set["plug_in"] = plug_in_json(plan, ordered, label);
    set["path"] = path_json(ordered, label);
    set["corrected"] = complete(oracle) ? corrected_json(plan, ordered, label, oracle) : nullptr;
    report["labels"].push_back(std::move(set));
  }
  return report;
}

}  // namespace ntk::theory
