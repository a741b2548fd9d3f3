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

std::vector<double> part_risks(std::span<const double> predictions, const BlockLabels& data) {
  const auto& part = data.test_part;
  const std::size_t parts = 1 + *std::max_element(part.begin(), part.end());
  std::vector<double> sums(parts, 0.0), counts(parts, 0.0);
  for (std::size_t i = 0; i < part.size(); ++i) {
    const double error = predictions[i] - data.test_reference[i];
    sums[part[i]] += error * error - data.test_reference_variance[i];
    counts[part[i]] += 1;
  }
  for (std::size_t p = 0; p < parts; ++p) sums[p] /= counts[p];
  return sums;
}

// The training rows as a test set of their own: factor_ik = l_k U_ik.
HeldOutModes in_sample_modes(const HeldOutModes& modes) {
  HeldOutModes own{modes.train, modes.train, modes.eigen, modes.modes, {}};
  own.factor.resize(modes.train * modes.modes);
  for (std::size_t i = 0; i < modes.train; ++i) {
    for (std::size_t k = 0; k < modes.modes; ++k) {
      own.factor[i * modes.modes + k] =
          modes.eigen.values[k] * modes.eigen.vectors[k * modes.train + i];
    }
  }
  return own;
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

std::span<const RuleName> rule_names() {
  return names;
}

Block make_block(std::span<const double> kernel, std::size_t n, const Split& split,
                 std::span<const std::int64_t> group, std::uint64_t seed, std::size_t folds) {
  const auto own = sub_matrix(kernel, n, split.train, split.train);
  Block block;
  block.modes = held_out_modes(own, sub_matrix(kernel, n, split.test, split.train),
                               split.train.size(), split.test.size());
  block.folds = draw_folds(own, split.train.size(), at_rows(group, split.train), folds, seed);
  return block;
}

RuleRisks rule_risks(const Block& block, const BlockLabels& data, std::span<const double> path) {
  const auto& modes = block.modes;
  const auto n = static_cast<double>(modes.train);
  const auto values = std::span(modes.eigen.values).first(modes.modes);
  const auto y = centred(data.labels);
  const auto projections = project(modes.eigen, y);
  RuleRisks result;
  const std::vector<double> zero(modes.train, 0.0);
  const bool known = !data.noise_variances.empty();
  const auto& variances = known ? data.noise_variances : zero;
  auto modal =
      label_modes(projections, std::inner_product(y.begin(), y.end(), y.begin(), 0.0),
                  project_variances(modes.eigen, variances), mean(variances), n, 1, modes.modes);
  const auto grid = eta_grid(values);
  const double gcv = gcv_stop(values, modal, grid);
  result.norm2 = rkhs_norm2(values, modal, gcv);
  result.noise = mean(variances);
  if (!known) {
    result.noise = effective_noise(values, modal, gcv);
    modal = with_noise(std::move(modal), result.noise);
  }

  std::vector<std::pair<const char*, double>> stops;
  const bool independent = !data.head_fitted_on_labels;  // noise and kernel
  if (independent) {
    stops.emplace_back("discrepancy", discrepancy_stop(values, modal, result.noise));
    const auto windows = kappa_windows(ridge_curve(values, n));
    stops.emplace_back("smoothed", smoothed_discrepancy_stop(
                                       values, modal, windows.full ? windows.full->alpha : 1));
  }
  const auto judged = std::span(grid).first(gcv_points(values, modal, grid));
  stops.emplace_back("leave_one_out", least(judged, leave_one_out(modes, data.labels, judged)));
  if (!block.folds.empty()) {
    stops.emplace_back("k_fold", least(grid, fold_errors(block.folds, data.labels, grid)));
    stops.emplace_back(
        "hold_out", least(grid, fold_errors(std::span(block.folds).first(1), data.labels, grid)));
  }
  stops.emplace_back("gcv", gcv);
  if (independent) stops.emplace_back("sure", sure_stop(values, modal, grid));
  if (independent && result.noise > 0 && result.norm2 > 0) {
    stops.emplace_back("rwy", rwy_stop(values, n, result.noise, result.norm2));
  }
  stops.emplace_back("never", never_stop);
  stops.emplace_back("null", 0.0);

  std::vector<double> times(path.begin(), path.end());
  for (const auto& stop : stops) times.push_back(stop.second);
  const bool in_sample = !data.train_reference.empty();
  const auto own = in_sample ? in_sample_modes(modes) : HeldOutModes();
  const auto out_of = [&](std::span<const double> at, Path kind) {
    return predict_along(modes, data.labels, at, kind);
  };
  const auto in_risks = [&](std::span<const double> at, Path kind) {
    if (!in_sample) return std::vector<double>(at.size(), std::nan(""));
    return risks_of(predict_along(own, data.labels, at, kind), at.size(), data.train_reference,
                    data.train_reference_variance);
  };
  const auto add = [&](const char* rule, double eta, std::span<const double> predictions,
                       double in) {
    RuleRisk risk{rule,
                  eta,
                  measured_risk(predictions, data.test_reference, data.test_reference_variance),
                  in,
                  {}};
    if (!data.test_part.empty()) risk.parts = part_risks(predictions, data);
    result.rules.push_back(std::move(risk));
  };
  const auto best = [](const std::vector<double>& risks) {
    return static_cast<std::size_t>(std::min_element(risks.begin(), risks.end()) - risks.begin());
  };
  const std::size_t rows = modes.test;
  const auto flow = out_of(times, Path::flow);
  const auto out = risks_of(flow, times.size(), data.test_reference, data.test_reference_variance);
  const auto in = in_risks(times, Path::flow);
  const auto add_flow = [&](const char* rule, std::size_t at) {
    add(rule, times[at], std::span(flow).subspan(at * rows, rows), in[at]);
  };
  add_flow("oracle", best(out));
  if (in_sample) add_flow("oracle_in_sample", best(in));
  const auto ridge = out_of(path, Path::ridge);
  const std::size_t r =
      best(risks_of(ridge, path.size(), data.test_reference, data.test_reference_variance));
  add("ridge_oracle", path[r], std::span(ridge).subspan(r * rows, rows),
      in_risks(path.subspan(r, 1), Path::ridge)[0]);
  for (std::size_t i = 0; i < stops.size(); ++i) add_flow(stops[i].first, path.size() + i);
  result.labels = std::move(modal);
  return result;
}

}  // namespace ntk::theory
