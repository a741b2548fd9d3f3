// What one label vector says on the centred kernel: noise, norm, learning curve.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>

#include "theory/learning_curve.hpp"
#include "theory/linear_algebra.hpp"
#include "theory/report_parts.hpp"

namespace ntk::theory {

using nlohmann::json;

namespace {

// |H y|^2 with the mean of every output removed.
double centred_square(const std::vector<double>& labels, std::int64_t outputs) {
  const auto stride = static_cast<std::size_t>(outputs);
  double square = 0;
  for (std::size_t c = 0; c < stride; ++c) {
    std::vector<double> of_output;
    for (std::size_t r = c; r < labels.size(); r += stride) of_output.push_back(labels[r]);
    for (const double v : centred(of_output)) square += v * v;
  }
  return square;
}

}  // namespace

json stated(const PreparedLabels& p, double value, const std::function<Interval()>& bounds,
            double scale, const std::string& unit, const std::string& rule, const std::string& name,
            std::vector<std::string>& unsaid) {
  if (!p.bounds) return quantity(value, unit, rule);
  return bounded(value, bounds(), scale, unit, rule, name, unsaid);
}

std::optional<PreparedLabels> prepare_labels(ReportContext& context, const LabelSet& labels) {
  const auto& inputs = context.inputs;
  const double n = context.n();
  const auto outputs = static_cast<double>(inputs.rows_per_sample);
  const double square = centred_square(labels.values, inputs.rows_per_sample);
  const double plain =
      std::inner_product(labels.values.begin(), labels.values.end(), labels.values.begin(), 0.0);
  const auto refuse = [&](const std::string& why) {
    context.limits.push_back("label set " + labels.name + ": " + why);
    return std::nullopt;
  };
  if (!(square > 1e-20 * plain)) return refuse("the labels are constant, nothing is to be learned");

  PreparedLabels p;
  const bool known = inputs.noise_source == NoiseSource::data && !labels.noise_variances.empty();
  const std::size_t modes = context.computed().size();
  const std::vector<double> zero(modes, 0.0);
  p.modes = label_modes(labels.projections, square,
                        known ? std::span<const double>(labels.noise_modes) : zero,
                        known ? mean(labels.noise_variances) : 0.0, n, outputs, modes);
  if (context.bounds) complete_labels(context, labels, known, p);
  const auto grid = eta_grid(context.values);
  p.gcv_eta = gcv_stop(context.values, p.modes, grid);
  if (p.bounds) {
    const auto stop = known_minimum(
        std::span(grid).first(gcv_points(context.values, p.modes, grid)),
        [&](double eta) { return gcv_score(flow_residual(context.values, eta), p.modes); },
        [&](double eta) { return p.bounds->gcv(eta); });
    p.gcv_eta = stop ? stop->eta : std::nan("");
    p.gcv_range = stop ? stop->range : Interval();
  }
  p.effective_noise = effective_noise(context.values, p.modes, p.gcv_eta);
  p.norm2 = rkhs_norm2(context.values, p.modes, p.gcv_eta);
  if (known) {
    p.noise = mean(labels.noise_variances);
    p.noise_rule = "data: mean of the rows' noise variances";
  } else if (inputs.noise_source == NoiseSource::number) {
    p.noise = inputs.noise_number;
    p.noise_rule = "number: given in the job file";
  } else {
    p.noise = p.effective_noise;
    p.noise_rule = "estimate: RSS/(n - df) at the GCV stop; unresolved signal counts as noise";
    if (std::isnan(p.noise)) {
      return refuse(
          "no noise variance: it is estimated at the GCV stop, which the leading pairs do not "
          "reach; give theory.noise_variance or more pairs (spectrum.leading)");
    }
  }
  if (!known) {
    p.modes = with_noise(std::move(p.modes), p.noise);
    if (p.bounds) {
      p.bounds.emplace(*context.bounds, p.modes, p.power_tail,
                       context.bounds->tail() * (p.noise / n));
    }
  }
  if (!(p.modes.signal() > 0)) {
    return refuse(
        "the noise variance is not below the labels' variance, no signal is left to learn");
  }
  return p;
}

json label_report(ReportContext& context, const LabelSet& labels, const PreparedLabels& p) {
  const auto& values = context.values;
  const auto samples = static_cast<double>(context.inputs.samples);
  const auto say = [&](std::vector<std::string>& list, const std::string& what) {
    list.push_back("label set " + labels.name + ": " + what);
  };
  std::vector<std::string> unsaid;  // of a partial spectrum
  json set{{"name", labels.name}};
  set["label_variance"] = quantity(p.modes.total_power(), "y^2", "|y - mean y|^2/n");
  set["noise_variance"] = quantity(p.noise, "y^2", p.noise_rule);
  if (p.bounds && p.noise_rule.starts_with("estimate")) {
    set["noise_variance"]["error"] =
        number(error_of(p.noise, p.bounds->effective_noise(p.gcv_eta)));
  }
  set["effective_noise"] = stated(
      p, p.effective_noise, [&] { return p.bounds->effective_noise(p.gcv_eta); }, p.effective_noise,
      "y^2", "RSS/(n - df) at the GCV stop", "effective_noise", unsaid);
  set["signal_variance"] =
      quantity(p.modes.signal(), "y^2", "label variance - noise: the null risk in sample");
  set["rkhs_norm2"] = stated(
      p, p.norm2, [&] { return p.bounds->norm2(p.gcv_eta); }, p.norm2, "y^2 / l of K/n",
      "squared RKHS norm of the GCV-stopped fit", "rkhs_norm2", unsaid);

  // The learning curve at n/8 ... n.
  std::vector<double> sizes, rows;
  for (const double part : {8.0, 4.0, 2.0, 1.0}) {
    sizes.push_back(std::floor(samples / part));
    rows.push_back(sizes.back() * static_cast<double>(context.inputs.rows_per_sample));
  }
  auto curve = plug_in_curve(values, context.curve, p.modes, p.noise, rows);
  const auto never = p.bounds ? std::vector<LearningPoint>(rows.size())
                              : never_stop_curve(values, context.curve, p.modes, p.noise, rows);
  json points = json::array();
  std::string unusable;
  double slope_error = 0;
  for (std::size_t i = 0; i < curve.size(); ++i) {
    json point{{"n", sizes[i]}, {"standard_error", curve[i].standard_error}, {"df", curve[i].df}};
    const double error = p.bounds ? plug_in_error(context, p, curve[i]) : 0.0;
    if (p.bounds) point["error"] = number(error);
    if (p.bounds && (curve[i].usable() || std::isinf(error))) {
      slope_error = std::max(slope_error, error / curve[i].risk);
      if (!(error <= widest_error * curve[i].risk)) {
        unsaid.push_back(fmt::format("plug-in risk at n = {}", sizes[i]));
        curve[i].risk = 0;
      }
    } else if (!curve[i].usable()) {
      unusable += (unusable.empty() ? "" : ", ") + fmt::format("{}", sizes[i]);
    }
    point["risk"] = curve[i].usable() ? json(curve[i].risk) : json(nullptr);
    point["never_stopping"] = never[i].usable() ? json(never[i].risk) : json(nullptr);
    point["noise_share"] = curve[i].usable() ? json(curve[i].noise_share) : json(nullptr);
    points.push_back(std::move(point));
  }
  set["plug_in"] = {
      {"unit", "y^2"},
      {"rule",
       "predicted excess risk of a ridge at n samples, from this kernel and all its labels "
       "(deterministic equivalent); the ridge is the one whose risk + standard_error is least; "
       "standard_error is that of label noise alone; never_stopping at ridge -> 0, where N1 = n"},
      {"curve", points},
      {"slope", quantity(learning_slope(curve), "1", "log risk on log n over n/8 to n")}};
  // The sizes are halves of each other: errors of log risk move the slope by this at most.
  if (json& slope = set["plug_in"]["slope"]; p.bounds && slope["value"].is_number()) {
    slope["error"] = 0.8 / std::log(2.0) * slope_error;
  }
  if (!unusable.empty()) {
    say(context.limits, "no plug-in risk at n = " + unusable +
                            ": it is less than twice the error that the labels' noise makes in it");
  }

  set["target"] = p.bounds ? json(nullptr) : target_report(context, labels, p);
  set["regime"] = regime_report(set["plug_in"], p);
  set["stopping"] = stop_report(context, labels, p, unsaid);
  if (p.bounds) unsaid.emplace_back("alignment, tails of the target, never stopping");
  if (!unsaid.empty()) {
    say(context.limits,
        fmt::format("{} leading pairs do not give within {:.0f} %: {}", context.computed().size(),
                    100 * widest_error, fmt::join(unsaid, ", ")));
  }
  return set;
}

}  // namespace ntk::theory
