#include "theory/rule_risks.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

#include "base/error.hpp"
#include "theory/effective_dimension.hpp"
#include "theory/stopping.hpp"

namespace ntk::theory {
namespace {

constexpr std::array names{
    RuleName{"oracle", "least risk out of sample along the path"},
    RuleName{"oracle_in_sample", "least risk in sample along the path"},
    RuleName{"ridge_oracle", "least risk out of sample of ridge regression"},
    RuleName{"discrepancy", "first RSS/n <= noise variance"},
    RuleName{"smoothed", "discrepancy with modes weighted by l^(1/(alpha+1))"},
    RuleName{"leave_one_out", "least leave-one-out error, by the shortcut of linear smoothers"},
    RuleName{"k_fold", "least error over folds, then fitted to all rows"},
    RuleName{"hold_out", "least error on the first fold, then fitted to all rows"},
    RuleName{"gcv", "least (RSS/n)/(1 - df/n)^2"},
    RuleName{"sure", "least RSS/n + 2 sum (1 - S) nz"},
    RuleName{"rwy", "Raskutti, Wainwright and Yu with the norm of the GCV-stopped fit"},
    RuleName{"never", "gradient descent to its end"},
    RuleName{"null", "the mean of the labels"}};

std::vector<double> part_risks(std::span<const double> predictions, const JudgedRows& rows) {
  const std::size_t parts = 1 + *std::max_element(rows.part.begin(), rows.part.end());
  std::vector<double> sums(parts, 0.0), counts(parts, 0.0);
  for (std::size_t i = 0; i < rows.part.size(); ++i) {
    const double error = predictions[i] - rows.reference[i];
    sums[rows.part[i]] += error * error - rows.reference_variance[i];
    counts[rows.part[i]] += 1;
  }
  for (std::size_t p = 0; p < parts; ++p) sums[p] /= counts[p];
  return sums;
}

// Risks of predictions (points, rows).
std::vector<double> risks_of(std::span<const double> predictions, std::size_t points,
                             std::span<const double> reference, std::span<const double> variance) {
  std::vector<double> risks(points);
  const std::size_t rows = predictions.size() / points;
  for (std::size_t p = 0; p < points; ++p) {
    risks[p] = measured_risk(predictions.subspan(p * rows, rows), reference, variance);
  }
  return risks;
}

double least(std::span<const double> grid, std::span<const double> scores) {
  return grid[static_cast<std::size_t>(std::min_element(scores.begin(), scores.end()) -
                                       scores.begin())];
}

}  // namespace

std::vector<double> in_sample_factor(const HeldOutModes& modes) {
  std::vector<double> factor(modes.train * modes.modes);
  for (std::size_t i = 0; i < modes.train; ++i) {
    for (std::size_t k = 0; k < modes.modes; ++k) {
      factor[i * modes.modes + k] =
          modes.eigen.values[k] * modes.eigen.vectors[k * modes.train + i];
    }
  }
  return factor;
}

std::span<const RuleName> rule_names() {
  return names;
}

Block make_block(std::span<const double> kernel, std::size_t n, const Split& split,
                 std::span<const std::int64_t> group, std::uint64_t seed, std::size_t folds,
                 std::size_t outputs) {
  const auto train = rows_of_samples(split.train, outputs),
             test = rows_of_samples(split.test, outputs);
  const auto own = sub_matrix(kernel, n, train, train);
  Block block;
  block.modes =
      held_out_modes(own, sub_matrix(kernel, n, test, train), train.size(), test.size(), outputs);
  block.folds = draw_folds(own, train.size(), at_rows(group, split.train), folds, seed, outputs);
  return block;
}

std::vector<RuleStop> mode_stops(std::span<const double> values, const LabelModes& modal,
                                 double noise, double gcv, double norm2, bool independent) {
  std::vector<RuleStop> stops{{"gcv", gcv}, {"never", never_stop}, {"null", 0.0}};
  if (!independent) return stops;
  const auto windows = kappa_windows(ridge_curve(values, modal.n));
  stops.push_back({"discrepancy", discrepancy_stop(values, modal, noise)});
  stops.push_back({"smoothed", smoothed_discrepancy_stop(values, modal,
                                                         windows.full ? windows.full->alpha : 1)});
  stops.push_back({"sure", sure_stop(values, modal, eta_grid(values))});
  if (noise > 0 && norm2 > 0) stops.push_back({"rwy", rwy_stop(values, modal.n, noise, norm2)});
  return stops;
}

std::vector<RuleStop> left_out_stops(const Block& block, std::span<const double> labels,
                                     const LabelModes& modal) {
  const auto values = std::span(block.modes.eigen.values).first(block.modes.modes);
  const auto grid = eta_grid(values);
  const auto judged = std::span(grid).first(gcv_points(values, modal, grid));
  std::vector<RuleStop> stops{
      {"leave_one_out", least(judged, leave_one_out(block.modes, labels, judged))}};
  if (!block.folds.empty()) {
    const auto first = std::span(block.folds).first(1);
    stops.push_back({"k_fold", least(grid, fold_errors(block.folds, labels, grid))});
    stops.push_back({"hold_out", least(grid, fold_errors(first, labels, grid))});
  }
  return stops;
}

std::vector<RuleRisk> judge_rules(const LabelFit& fit, std::span<const double> factor,
                                  std::span<const RuleStop> stops, std::span<const double> path,
                                  const JudgedRows& rows) {
  const std::size_t count = rows.reference.size();
  std::vector<RuleRisk> rules;
  const auto add = [&](const char* rule, double eta, std::span<const double> predictions) {
    RuleRisk risk{
        rule,         eta, measured_risk(predictions, rows.reference, rows.reference_variance),
        std::nan(""), {},  {predictions.begin(), predictions.end()}};
    if (!rows.part.empty()) risk.parts = part_risks(predictions, rows);
    rules.push_back(std::move(risk));
  };
  const auto best = [&](std::span<const double> predictions, std::size_t points) {
    const auto risks = risks_of(predictions, points, rows.reference, rows.reference_variance);
    return static_cast<std::size_t>(std::min_element(risks.begin(), risks.end()) - risks.begin());
  };
  std::vector<double> times(path.begin(), path.end());
  for (const auto& stop : stops) times.push_back(stop.eta);
  const auto flow = predict_rows(fit, factor, times),
             ridge = predict_rows(fit, factor, path, Path::ridge);
  const auto at = [&](const std::vector<double>& predictions, std::size_t point) {
    return std::span(predictions).subspan(point * count, count);
  };
  const std::size_t f = best(flow, times.size()), r = best(ridge, path.size());
  add("oracle", times[f], at(flow, f));
  add("ridge_oracle", path[r], at(ridge, r));
  for (std::size_t i = 0; i < stops.size(); ++i) {
    add(stops[i].rule, stops[i].eta, at(flow, path.size() + i));
  }
  return rules;
}

RuleRisks rule_risks(const Block& block, const BlockLabels& data, std::span<const double> path) {
  const auto& modes = block.modes;
  const auto n = static_cast<double>(modes.train);
  const auto values = std::span(modes.eigen.values).first(modes.modes);
  const auto y = centred(data.labels, modes.outputs());
  const auto projections = project(modes.eigen, y);
  RuleRisks result;
  const std::vector<double> zero(modes.train, 0.0);
  const bool known = !data.noise_variances.empty();
  const auto& variances = known ? data.noise_variances : zero;
  auto modal = label_modes(projections, std::inner_product(y.begin(), y.end(), y.begin(), 0.0),
                           project_variances(modes.eigen, variances), mean(variances), n,
                           static_cast<double>(modes.outputs()), modes.modes);
  const auto grid = eta_grid(values);
  const double gcv = gcv_stop(values, modal, grid);
  result.norm2 = rkhs_norm2(values, modal, gcv);
  result.noise = mean(variances);
  if (!known) {
    result.noise = effective_noise(values, modal, gcv);
    modal = with_noise(std::move(modal), result.noise);
  }
  result.stops =
      mode_stops(values, modal, result.noise, gcv, result.norm2, !data.head_fitted_on_labels);
  for (const auto& stop : left_out_stops(block, data.labels, modal)) result.stops.push_back(stop);

  const auto fit = fit_labels(modes, data.labels);
  const bool in_sample = !data.train_reference.empty();
  const auto own = in_sample ? in_sample_factor(modes) : std::vector<double>();
  const auto in_risks = [&](std::span<const double> at, Path kind) {
    return risks_of(predict_rows(fit, own, at, kind), at.size(), data.train_reference,
                    data.train_reference_variance);
  };
  if (in_sample) {
    std::vector<double> times(path.begin(), path.end());
    for (const auto& stop : result.stops) times.push_back(stop.eta);
    result.stops.push_back({"oracle_in_sample", least(times, in_risks(times, Path::flow))});
  }
  result.rules = judge_rules(fit, modes.factor, result.stops, path,
                             {data.test_reference, data.test_reference_variance, data.test_part});
  for (auto& rule : result.rules) {
    if (!in_sample) continue;
    rule.in_sample =
        in_risks({&rule.eta, 1}, rule.rule == "ridge_oracle" ? Path::ridge : Path::flow)[0];
  }
  result.labels = std::move(modal);
  return result;
}

}  // namespace ntk::theory
