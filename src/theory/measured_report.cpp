// What is measured on sub-matrices of the stored kernel: the norm's growth and held-out risks.
#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>

#include "base/error.hpp"
#include "theory/held_out.hpp"
#include "theory/learning_curve.hpp"
#include "theory/linear_algebra.hpp"
#include "theory/report_parts.hpp"

namespace ntk::theory {

using nlohmann::json;

namespace {

constexpr std::uint64_t growth_draws = 4;
constexpr std::uint64_t splits = 8;
constexpr double growth_warning = 1.2;
constexpr double stopping_matters = 1.2;

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const std::size_t middle = values.size() / 2;
  return values.size() % 2 ? values[middle] : 0.5 * (values[middle - 1] + values[middle]);
}

// values[rows[i]] for the rows of the subset.
std::vector<double> gather(const std::vector<double>& values, std::span<const std::size_t> rows) {
  std::vector<double> result;
  for (const std::size_t r : rows) result.push_back(values[r]);
  return result;
}

std::vector<std::size_t> kernel_rows(const TheoryInputs& inputs,
                                     std::span<const std::size_t> rows) {
  std::vector<std::size_t> result;
  for (const std::size_t r : rows) result.push_back(static_cast<std::size_t>(inputs.subset[r]));
  return result;
}

std::vector<std::int64_t> subset_groups(const TheoryInputs& inputs) {
  std::vector<std::int64_t> result;
  if (inputs.group.empty()) return result;
  for (const auto r : inputs.subset) result.push_back(inputs.group[static_cast<std::size_t>(r)]);
  return result;
}

// A principal sub-matrix in its modes.
struct SubSample {
  std::vector<std::size_t> rows;  // of the subset
  HeldOutModes modes;
};
SubSample sub_sample(const TheoryInputs& inputs, std::vector<std::size_t> rows) {
  auto kernel = sub_matrix(inputs.kernel, inputs.subset.size(), rows, rows);
  const std::size_t m = rows.size();
  return {std::move(rows), held_out_modes(std::move(kernel), {}, m, 0)};
}

// rkhs_norm2 of the GCV-stopped fit on the sub-sample; NaN where there is nothing to fit.
double norm_on(const TheoryInputs& inputs, const SubSample& sub, const LabelSet& labels) {
  const auto y = centred(gather(labels.values, kernel_rows(inputs, sub.rows)));
  double square = 0;
  for (const double v : y) square += v * v;
  const std::size_t count = sub.modes.modes;
  if (count < 2 || !(square > 0)) return std::numeric_limits<double>::quiet_NaN();
  const auto values = std::span(sub.modes.eigen.values).first(count);
  const std::vector<double> zero(sub.rows.size(), 0.0);
  const auto modal = label_modes(project(sub.modes.eigen, y), square, zero, 0,
                                 static_cast<double>(sub.rows.size()), 1, count);
  return rkhs_norm2(values, modal, gcv_stop(values, modal, eta_grid(values)));
}

struct RuleTotals {
  std::vector<double> eta, risk;
};

json rule_json(const std::string& name, const RuleTotals& totals, double oracle, double never) {
  const double risk = mean(totals.risk);
  double spread = 0;
  for (const double r : totals.risk) spread += (r - risk) * (r - risk);
  const auto count = static_cast<double>(totals.risk.size());
  const double eta = median(totals.eta);
  json rule{{"rule", name},
            {"risk", risk},
            {"sd_over_splits", std::sqrt(spread / std::max(1.0, count - 1))},
            {"to_oracle", risk / oracle},
            {"to_never_stop", risk / never},
            {"never", std::isinf(eta)}};
  rule["eta_median"] = std::isfinite(eta) ? json(eta) : json(nullptr);
  return rule;
}

}  // namespace

std::vector<json> growth_report(ReportContext& context,
                                std::span<const std::optional<PreparedLabels>> prepared) {
  const auto& inputs = context.inputs;
  const std::size_t m = inputs.subset.size();
  std::vector<json> result(prepared.size());
  const bool labelled =
      std::any_of(prepared.begin(), prepared.end(), [](const auto& p) { return !!p; });
  if (!labelled) return result;
  if (inputs.rows_per_sample != 1 || inputs.kernel.empty() || m < 40) {
    context.limits.push_back(
        "no growth of rkhs_norm2: it is measured on at least 40 rows of kernels "
        "with one row a sample");
    return result;
  }
  // Single rows are drawn, whatever the groups: the norm is a statement on one sample, not a test.
  std::vector<SubSample> halves;
  std::vector<double> alphas;
  for (std::uint64_t draw = 0; draw < growth_draws; ++draw) {
    halves.push_back(sub_sample(inputs, draw_split(m, {}, m / 2, 0, inputs.seed + draw).train));
    const auto& modes = halves.back().modes;
    if (modes.modes < 2) continue;
    const auto curve = ridge_curve(std::span(modes.eigen.values).first(modes.modes),
                                   static_cast<double>(modes.train));
    if (const auto fit = kappa_windows(curve).full) alphas.push_back(fit->alpha);
  }
  std::optional<SubSample> whole;  // only where the report's own norm is on more rows
  if (static_cast<double>(m) < context.n()) {
    std::vector<std::size_t> all(m);
    std::iota(all.begin(), all.end(), std::size_t{0});
    whole = sub_sample(inputs, std::move(all));
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
                           "rkhs_norm2(m)/rkhs_norm2(m/2), m/2 random rows, mean of " +
                               std::to_string(growth_draws) + " draws");
    growth["rows"] = m;
    growth["target_in_rkhs"] = std::isfinite(ratio) ? json(ratio <= growth_warning) : json(nullptr);
    if (!alphas.empty()) {
      growth["alpha_at_half"] = quantity(mean(alphas), "1", "kappa-df on m/2 rows, df in [5, m/4]");
    }
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

json held_out_report(ReportContext& context,
                     std::span<const std::optional<PreparedLabels>> prepared) {
  const auto& inputs = context.inputs;
  const auto refuse = [&](const std::string& why) -> json {
    context.limits.push_back("no held-out risk: " + why);
    return nullptr;
  };
  if (inputs.reference.empty()) return refuse("the data carry no reference");
  if (inputs.rows_per_sample != 1)
    return refuse("it is measured for kernels with one row a sample");
  const std::size_t m = inputs.subset.size();
  if (inputs.kernel.empty() || m < 64) return refuse("it needs at least 64 rows of the kernel");
  if (std::none_of(prepared.begin(), prepared.end(), [](const auto& p) { return !!p; })) {
    return refuse("no label set can be learned");
  }
  // Training blocks of m/8, m/4, m/2 rows (nested) and 3m/8 test rows: the rest is room for
  // groups that are cut.
  const std::size_t test_rows = 3 * m / 8;
  const std::vector<std::size_t> sizes{m / 8, m / 4, m / 2};
  const auto path = eta_grid(context.values, 120);
  const auto group = subset_groups(inputs);
  std::vector<double> along(path.size(), 0.0);
  std::vector<std::map<std::string, RuleTotals>> totals(sizes.size());
  const std::vector<double> predicted_at(sizes.begin(), sizes.end());
  std::vector<LearningPoint> predicted(sizes.size());  // sums over what is used
  double used = 0;
  try {
    for (std::uint64_t s = 0; s < splits; ++s) {
      for (std::size_t k = 0; k < sizes.size(); ++k) {
        const auto split = draw_split(m, group, sizes[k], test_rows, inputs.seed + s);
        const auto modes = held_out_modes(sub_matrix(inputs.kernel, m, split.train, split.train),
                                          sub_matrix(inputs.kernel, m, split.test, split.train),
                                          sizes[k], test_rows);
        const auto train = kernel_rows(inputs, split.train);
        const auto test = kernel_rows(inputs, split.test);
        const auto reference = gather(inputs.reference, test);
        const auto variance = gather(inputs.reference_variance, test);
        std::vector<double> noise;
        if (inputs.noise_source == NoiseSource::number) noise.assign(sizes[k], inputs.noise_number);
        if (inputs.noise_source == NoiseSource::data && !inputs.noise_variances.empty()) {
          noise = gather(inputs.noise_variances, train);
        }
        for (std::size_t label = 0; label < inputs.labels.size(); ++label) {
          if (!prepared[label] || modes.modes < 2) continue;
          const auto run = run_held_out(modes, gather(inputs.labels[label].values, train), noise,
                                        reference, variance, path);
          for (const auto& rule : run.rules) {
            totals[k][rule.rule].eta.push_back(rule.eta);
            totals[k][rule.rule].risk.push_back(rule.risk);
          }
          if (k + 1 < sizes.size()) continue;
          used += 1;
          for (std::size_t p = 0; p < path.size(); ++p) along[p] += run.risk[p];
          // From the largest training block alone: no label of a test row has a part in it.
          const auto values = std::span(modes.eigen.values).first(modes.modes);
          const auto points =
              plug_in_curve(values, ridge_curve(values, static_cast<double>(modes.train)),
                            run.labels, run.noise, predicted_at);
          for (std::size_t p = 0; p < points.size(); ++p) {
            predicted[p].risk += points[p].risk;
            predicted[p].standard_error += points[p].standard_error;
          }
        }
      }
    }
  } catch (const Error& e) {
    if (e.code() != ExitCode::input) throw;
    return refuse(e.what());
  }
  if (used == 0) return refuse("the training blocks have fewer than two modes");

  json report{{"unit", "y^2"},
              {"rule",
               "mean (f - reference)^2 - mean reference_variance on held-out rows, gradient "
               "flow on the centred training block, intercept = training mean"},
              {"plug_in_rule",
               "plug-in risk from the m/2 training rows of each split alone, mean over splits and "
               "label sets; the standard error is that of one split, by its labels' noise"},
              {"splits", splits},
              {"test_rows", test_rows},
              {"rows", m},
              {"groups_kept_whole", !group.empty()},
              {"sizes", json::array()}};
  for (std::size_t k = 0; k < sizes.size(); ++k) {
    const double oracle = mean(totals[k].at("oracle").risk),
                 never = mean(totals[k].at("never").risk);
    json size{{"n", sizes[k]}, {"rules", json::array()}};
    for (const char* name : {"oracle", "discrepancy", "gcv", "sure", "rwy", "never", "null"}) {
      if (const auto found = totals[k].find(name); found != totals[k].end()) {
        size["rules"].push_back(rule_json(name, found->second, oracle, never));
      }
    }
    predicted[k].risk /= used;
    predicted[k].standard_error /= used;
    size["plug_in"] = predicted[k].usable() ? json(predicted[k].risk) : json(nullptr);
    size["plug_in_standard_error"] = predicted[k].standard_error;
    report["sizes"].push_back(std::move(size));
  }
  for (double& risk : along) risk /= used;
  report["path"] = {{"n", sizes.back()}, {"eta", path}, {"risk", along}};
  const double ratio = mean(totals.back().at("never").risk) / mean(totals.back().at("oracle").risk);
  report["never_to_oracle"] =
      quantity(ratio, "1", "risk of never stopping over the oracle's at n = m/2");
  if (ratio < stopping_matters) {
    context.caveats.push_back("never stopping costs less than 20 % here: stopping hardly matters");
  }
  return report;
}

}  // namespace ntk::theory
