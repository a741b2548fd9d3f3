#include "theory/evaluation.hpp"

#include <algorithm>
#include <cmath>

#include "theory/report_parts.hpp"
#include "theory/resampling.hpp"

namespace ntk::theory {

using nlohmann::json;

nlohmann::json path_risks(const LabelFit& fit, std::span<const double> factor,
                          std::span<const double> path, const JudgedRows& rows) {
  json risks{{"eta", std::vector<double>(path.begin(), path.end())}};
  const std::size_t count = rows.reference.size();
  for (const auto& [name, kind] :
       {std::pair("flow", Path::flow), std::pair("ridge", Path::ridge)}) {
    const auto predictions = predict_rows(fit, factor, path, kind);
    risks[name] = json::array();
    for (std::size_t p = 0; p < path.size(); ++p) {
      risks[name].push_back(number(measured_risk(std::span(predictions).subspan(p * count, count),
                                                 rows.reference, rows.reference_variance)));
    }
  }
  return risks;
}

JudgedRows EvaluationSet::judged(std::size_t label) const {
  const auto& by = labels.at(label);
  JudgedRows judges{by.reference, by.reference_variance, {}};
  for (const std::size_t p : part) judges.part.insert(judges.part.end(), outputs, p);
  return judges;
}

json describe(const EvaluationSet& set, std::size_t label) {
  const auto& by = set.labels.at(label);
  return {{"rows", set.rows},
          {"samples", set.rows / set.outputs},
          {"parts", 1 + *std::max_element(set.part.begin(), set.part.end())},
          {"groups_kept_whole", set.grouped},
          {"judged_by", by.by_reference ? "reference" : "labels"},
          {"excess", by.excess}};
}

json evaluate_fit(const EvaluationSet& set, std::size_t label, const LabelFit& fit,
                  std::span<const double> factor, std::span<const double> path,
                  std::span<const RuleRisk> risks, std::uint64_t seed) {
  const auto rows = set.judged(label);
  const auto by = resample(set.part, 0, seed);
  const auto& oracle = risks.front();
  json result = describe(set, label);
  result["unit"] = "y^2";
  result["rule"] =
      "gradient flow and ridge regression on all training rows, intercept = training mean; risk = "
      "mean (f - reference)^2 - mean reference_variance; rules see training labels only; intervals "
      "of 95 % resample parts of the set";
  result["rules"] = json::array();
  for (const auto& name : rule_names()) {
    const auto risk = std::find_if(risks.begin(), risks.end(),
                                   [&](const auto& r) { return r.rule == name.name; });
    if (risk == risks.end()) continue;
    std::vector<double> values, ratios;
    for (const auto& one : by) {
      values.push_back(weighted(one, risk->parts));
      ratios.push_back(values.back() / weighted(one, oracle.parts));
    }
    const auto of_risk = interval(values), of_ratio = interval(ratios);
    result["rules"].push_back({{"rule", name.name},
                               {"meaning", name.meaning},
                               {"eta", number(risk->eta)},
                               {"risk", number(risk->risk)},
                               {"low", number(of_risk[0])},
                               {"high", number(of_risk[1])},
                               {"to_oracle", number(risk->risk / oracle.risk)},
                               {"to_oracle_low", number(of_ratio[0])},
                               {"to_oracle_high", number(of_ratio[1])}});
  }
  result["path"] = path_risks(fit, factor, path, rows);
  return result;
}

json evaluate_classes(const EvaluationSet& set, std::span<const ErrorRate> rates,
                      std::uint64_t seed) {
  if (rates.empty()) return nullptr;
  const auto by = resample(set.part, 0, seed);
  json rules = json::array();
  for (const auto& rate : rates) {
    std::vector<double> values;
    for (const auto& one : by) values.push_back(weighted(one, rate.parts));
    const auto range = interval(values);
    rules.push_back({{"rule", rate.rule},
                     {"error_rate", rate.rate},
                     {"low", number(range[0])},
                     {"high", number(range[1])}});
  }
  return {
      {"samples", set.rows / set.outputs}, {"parts", by.front().weight.size()}, {"rules", rules}};
}

}  // namespace ntk::theory
