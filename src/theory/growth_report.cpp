// How the norm of the fit grows with the rows, measured on sub-matrices of the stored kernel.
#include <algorithm>
#include <cmath>
#include <limits>

#include "theory/held_out.hpp"
#include "theory/linear_algebra.hpp"
#include "theory/report_parts.hpp"

namespace ntk::theory {

using nlohmann::json;

namespace {

constexpr std::uint64_t growth_draws = 4;
constexpr double growth_warning = 1.2;
constexpr std::size_t most_rows = 2048;

// A principal sub-matrix of whole samples in its modes.
struct SubSample {
  std::vector<std::size_t> rows;  // of the subset
  HeldOutModes modes;
};
SubSample sub_sample(const TheoryInputs& inputs, std::size_t samples, std::uint64_t draw) {
  const auto outputs = static_cast<std::size_t>(inputs.rows_per_sample);
  const std::size_t all = inputs.subset.size();
  // Single samples are drawn, whatever the groups: the norm is a statement on one sample, not a
  // test.
  auto rows =
      rows_of_samples(draw_split(all / outputs, {}, samples, 0, inputs.seed + draw).train, outputs);
  auto kernel = sub_matrix(inputs.kernel, all, rows, rows);
  const std::size_t m = rows.size();
  return {std::move(rows), held_out_modes(std::move(kernel), {}, m, 0, outputs)};
}

// rkhs_norm2 of the GCV-stopped fit on the sub-sample; NaN where there is nothing to fit.
double norm_on(const TheoryInputs& inputs, const SubSample& sub, const LabelSet& labels) {
  const std::size_t outputs = sub.modes.outputs();
  const auto y = centred(at_rows(labels.values, at_rows(inputs.subset, sub.rows)), outputs);
  double square = 0;
  for (const double v : y) square += v * v;
  const std::size_t count = sub.modes.modes;
  if (count < 2 || !(square > 0)) return std::numeric_limits<double>::quiet_NaN();
  const auto values = std::span(sub.modes.eigen.values).first(count);
  const std::vector<double> zero(sub.rows.size(), 0.0);
  const auto modal =
      label_modes(project(sub.modes.eigen, y), square, zero, 0,
                  static_cast<double>(sub.rows.size()), static_cast<double>(outputs), count);
  return rkhs_norm2(values, modal, gcv_stop(values, modal, eta_grid(values)));
}

}  // namespace

std::vector<json> growth_report(ReportContext& context,
                                std::span<const std::optional<PreparedLabels>> prepared) {
  const auto& inputs = context.inputs;
  const auto outputs = static_cast<std::size_t>(inputs.rows_per_sample);
  const std::size_t m = std::min(inputs.subset.size(), most_rows) / outputs;  // samples
  std::vector<json> result(prepared.size());
  const bool labelled =
      std::any_of(prepared.begin(), prepared.end(), [](const auto& p) { return !!p; });
  if (!labelled) return result;
  if (inputs.kernel.empty() || m < 40) {
    context.limits.push_back(
        "no growth of rkhs_norm2: it is measured on at least 40 samples of the kernel");
    return result;
  }
  std::vector<SubSample> halves;
  for (std::uint64_t draw = 0; draw < growth_draws; ++draw) {
    halves.push_back(sub_sample(inputs, m / 2, draw));
  }
  std::optional<SubSample> whole;  // only where the report's own norm is on more rows
  if (static_cast<double>(m * outputs) < context.n() || context.bounds) {
    whole = sub_sample(inputs, m, 0);
  }
  std::string outside, unknown;  // label sets whose norm still grows, that have none
  for (std::size_t i = 0; i < prepared.size(); ++i) {
    if (!prepared[i]) continue;
    const auto& labels = inputs.labels[i];
    std::vector<double> norms;
    for (const auto& half : halves) norms.push_back(norm_on(inputs, half, labels));
    const double ratio =
        (whole ? norm_on(inputs, *whole, labels) : prepared[i]->norm2) / mean(norms);
    json growth = quantity(ratio, "1",
                           "rkhs_norm2(m)/rkhs_norm2(m/2), m/2 random samples, mean of " +
                               std::to_string(growth_draws) + " draws");
    growth["rows"] = m * outputs;
    growth["target_in_rkhs"] = std::isfinite(ratio) ? json(ratio <= growth_warning) : json(nullptr);
    if (!std::isfinite(ratio)) {
      unknown += (unknown.empty() ? "" : ", ") + labels.name;
    } else if (ratio > growth_warning) {
      outside += (outside.empty() ? "" : ", ") + labels.name;
    }
    result[i] = std::move(growth);
  }
  if (!unknown.empty()) {
    context.limits.push_back("no growth of rkhs_norm2 (" + unknown +
                             "): on some half of the rows the labels are constant or the kernel "
                             "has fewer than two modes");
  }
  if (!outside.empty()) {
    context.caveats.push_back("target not in the RKHS at this n (" + outside +
                              "): RWY is a heuristic here");
  }
  return result;
}

}  // namespace ntk::theory
