// Fits on all training rows, judged on evaluation sets.
#include <numeric>

#include "theory/evaluation.hpp"
#include "theory/report_parts.hpp"

namespace ntk::theory {

using nlohmann::json;

namespace {

constexpr std::size_t evaluation_path_points = 120;

// The factor of predict_rows over the modes in use.
std::vector<double> factor_of(const EvaluationSet& set, std::size_t n, std::size_t modes) {
  std::vector<double> factor;
  factor.reserve(set.rows * modes);
  for (std::size_t i = 0; i < set.rows; ++i) {
    for (std::size_t k = 0; k < modes; ++k) {
      factor.push_back(set.product[i * n + k] / static_cast<double>(n));
    }
  }
  return factor;
}

}  // namespace

EvaluationReport evaluation_report(ReportContext& context,
                                   std::span<const std::optional<PreparedLabels>> prepared) {
  const auto& inputs = context.inputs;
  EvaluationReport result{std::vector<json>(prepared.size()), nullptr};
  if (inputs.evaluate.empty()) return result;
  if (context.bounds) {
    context.limits.push_back(
        "evaluation sets judge no fits on all rows, which need all eigenvectors (the learning "
        "curves are judged by them)");
    return result;
  }
  const auto n = static_cast<std::size_t>(context.n());
  const auto outputs = static_cast<std::size_t>(inputs.rows_per_sample);
  // Rules that leave rows out need the kernel of all of them.
  std::optional<Block> block;
  if (inputs.subset.size() == n) {
    std::vector<std::size_t> all(n / outputs);
    std::iota(all.begin(), all.end(), std::size_t{0});
    block = make_block(inputs.kernel, n, {all, {}}, inputs.group, inputs.seed, 5, outputs);
  } else {
    context.limits.push_back(
        "evaluation sets: no leave_one_out, k_fold and hold_out, which need the kernel of all "
        "training rows in memory (this one is too large)");
  }
  const auto path = eta_grid(context.values, evaluation_path_points);
  std::vector<std::optional<LabelFit>> fits(prepared.size());
  std::vector<std::vector<RuleStop>> stops(prepared.size());
  std::vector<std::vector<double>> means;
  for (std::size_t i = 0; i < prepared.size(); ++i) {
    const auto& labels = inputs.labels[i];
    means.push_back(output_means(labels.values, outputs));
    if (!prepared[i]) continue;
    const auto& p = *prepared[i];
    fits[i] = {context.values, labels.projections, means.back()};
    fits[i]->projections.resize(context.values.size());
    stops[i] = mode_stops(context.values, p.modes, p.noise, p.gcv_eta, p.norm2,
                          !inputs.head_fitted_on_labels);
    if (!block) continue;
    const auto left_out = left_out_stops(*block, labels.values, p.modes);
    stops[i].insert(stops[i].end(), left_out.begin(), left_out.end());
  }
  for (const auto& set : inputs.evaluate) {
    const auto factor = factor_of(set, n, context.values.size());
    std::vector<std::vector<RuleRisk>> risks(prepared.size());
    for (std::size_t i = 0; i < prepared.size(); ++i) {
      if (!fits[i]) continue;
      if (const auto& why = set.labels.at(i).missing; !why.empty()) {
        context.limits.push_back("evaluation set " + set.name + " does not judge label set " +
                                 inputs.labels[i].name + ": " + why);
        continue;
      }
      risks[i] = judge_rules(*fits[i], factor, stops[i], path, set.judged(i));
      result.labels[i][set.name] =
          evaluate_fit(set, i, *fits[i], factor, path, risks[i], inputs.seed);
    }
    const auto rates = error_rates(set.truth, set.part, risks, means);
    if (!rates.empty()) {
      result.classes["evaluate"][set.name] = evaluate_classes(set, rates, inputs.seed);
    }
  }
  return result;
}

}  // namespace ntk::theory
