// The points of a learning study put together.
#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numeric>
#include <random>

#include "base/error.hpp"
#include "theory/learning_study.hpp"
#include "theory/linear_algebra.hpp"
#include "theory/report_parts.hpp"
#include "theory/rule_risks.hpp"

namespace ntk::theory {

using nlohmann::json;

namespace {

constexpr double missing = std::numeric_limits<double>::quiet_NaN();
constexpr std::size_t resamples = 400;

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

// 2.5 and 97.5 %; NaN where a value is.
std::array<double, 2> interval(std::vector<double> values) {
  if (values.empty() ||
      std::any_of(values.begin(), values.end(), [](double v) { return !std::isfinite(v); })) {
    return {missing, missing};
  }
  std::sort(values.begin(), values.end());
  const auto at = [&](double part) {
    return values[static_cast<std::size_t>(part * static_cast<double>(values.size() - 1) + 0.5)];
  };
  return {at(0.025), at(0.975)};
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

// Draws and parts taken with replacement, the same ones for every rule and size.
struct Resample {
  std::vector<std::size_t> draws;
  std::vector<double> weight;  // of each part
};
std::vector<Resample> resample(const StudyPlan& plan) {
  std::vector<double> rows(1 + *std::max_element(plan.split.part.begin(), plan.split.part.end()),
                           0.0);
  for (const std::size_t p : plan.split.part) rows[p] += 1;
  std::mt19937_64 random(plan.seed);
  std::vector<Resample> result(resamples);
  for (auto& r : result) {
    for (std::size_t d = 0; d < plan.seeds; ++d) r.draws.push_back(random() % plan.seeds);
    r.weight.assign(rows.size(), 0.0);
    double total = 0;
    for (std::size_t p = 0; p < rows.size(); ++p) {
      const std::size_t part = random() % rows.size();
      r.weight[part] += rows[part];
      total += rows[part];
    }
    for (double& w : r.weight) w /= total;
  }
  return result;
}

double resampled_risk(const RuleTable& table, std::size_t size, const Resample& by) {
  const auto& parts = table.parts[size];
  double sum = 0;
  for (const std::size_t d : by.draws) {
    const auto& of = parts[d % parts.size()];
    for (std::size_t p = 0; p < of.size(); ++p) sum += by.weight[p] * of[p];
  }
  return sum / static_cast<double>(by.draws.size());
}

RuleTable table_of(const StudyPlan& plan, std::span<const json> points, std::size_t label,
                   const std::string& rule) {
  RuleTable table;
  const std::size_t sizes = plan.sizes.size();
  table.eta.resize(sizes), table.risk.resize(sizes), table.in_sample.resize(sizes);
  table.parts.resize(sizes);
  for (std::size_t s = 0; s < sizes; ++s) {
    for (const auto& point : points) {
      if (point.at("n").get<std::size_t>() != plan.sizes[s]) continue;
      const auto& set = point.at("labels").at(label);
      if (set.is_null()) continue;
      for (const auto& entry : set.at("rules")) {
        if (entry.at("rule") != rule) continue;
        const auto& eta = entry.at("eta");
        table.eta[s].push_back(eta.is_null() ? std::numeric_limits<double>::infinity()
                                             : eta.get<double>());
        table.risk[s].push_back(entry.at("risk").get<double>());
        table.in_sample[s].push_back(value_or_nan(entry.at("in_sample")));
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
  std::vector<double> low, high, ratio, ratio_low, ratio_high, eta, slopes;
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
  json local = json::array();
  for (std::size_t s = 1; s < sizes; ++s) {
    local.push_back(
        number(slope(std::span(plan.sizes).subspan(s - 1, 2), std::span(risk).subspan(s - 1, 2))));
  }
  return {{"rule", name.name},
          {"meaning", name.meaning},
          {"eta_median", numbers(eta)},
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

}  // namespace

json study_report(const StudyRows& rows, const StudyPlan& plan, std::span<const json> points) {
  ensure(points.size() == plan.sizes.size() * plan.seeds, "{} points of {} x {}", points.size(),
         plan.sizes.size(), plan.seeds);
  // By their draws: what is resampled together belongs together.
  std::vector<json> ordered(points.begin(), points.end());
  std::sort(ordered.begin(), ordered.end(), [](const json& a, const json& b) {
    return a.at("draw").get<std::size_t>() < b.at("draw").get<std::size_t>();
  });
  const auto by = resample(plan);
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
      {"labels", json::array()}};
  for (std::size_t label = 0; label < rows.labels.size(); ++label) {
    const auto& labels = rows.labels[label];
    json set{{"name", labels.name},
             {"judged_by", labels.reference.empty() ? "labels" : "reference"},
             {"excess", !labels.reference.empty() || !labels.noise_variances.empty()},
             {"rules", json::array()}};
    const auto oracle = table_of(plan, ordered, label, "oracle");
    for (const auto& name : rule_names()) {
      const auto table = table_of(plan, ordered, label, name.name);
      if (!complete(table) || !complete(oracle)) continue;
      set["rules"].push_back(rule_json(plan, name, table, oracle, by));
    }
    set["plug_in"] = plug_in_json(plan, ordered, label);
    set["corrected"] = complete(oracle) ? corrected_json(plan, ordered, label, oracle) : nullptr;
    report["labels"].push_back(std::move(set));
  }
  return report;
}

}  // namespace ntk::theory
