// Fits on all training rows, judged on evaluation sets.
#include <numeric>

#include "theory/evaluation.hpp"
#include "theory/report_parts.hpp"

namespace ntk::theory {

using nlohmann::json;

namespace {

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

std::vector<json> evaluation_report(ReportContext& context,
                                    std::span<const std::optional<PreparedLabels>> prepared) {
  const auto& inputs = context.inputs;
  std::vector<json> result(prepared.size());
  if (inputs.evaluate.empty()) return result;
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
  for (const auto& set : inputs.evaluate) {
    const auto factor = factor_of(set, n, context.values.size());
    for (std::size_t i = 0; i < prepared.size(); ++i) {
      if (!prepared[i]) continue;
      const auto& labels = inputs.labels[i];
      if (const auto& why = set.labels.at(i).missing; !why.empty()) {
        context.limits.push_back("evaluation set " + set.name + " does not judge label set " +
                                 labels.name + ": " + why);
        continue;
      }
      const auto& p = *prepared[i];
      const LabelFit fit{
          context.values,
          {labels.projections.begin(),
           labels.projections.begin() + static_cast<std::ptrdiff_t>(context.values.size())},
          output_means(labels.values, outputs)};
      auto stops = mode_stops(context.values, p.modes, p.noise, p.gcv_eta, p.norm2);
      if (block) {
        for (const auto& stop : left_out_stops(*block, labels.values, p.modes)) {
          stops.push_back(stop);
        }
      }
      result[i][set.name] = evaluate_fit(set, i, fit, factor, stops, inputs.seed);
    }
  }
  return result;
}

}  // namespace ntk::theory
