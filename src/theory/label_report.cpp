// What one label vector says on the centred kernel: noise, norm, learning curve, stopping times.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>

#include "theory/learning_curve.hpp"
#include "theory/linear_algebra.hpp"
#include "theory/report_parts.hpp"
#include "theory/stopping.hpp"

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

// A quantity at a stop; with its error where the spectrum is partial.
json stated(const PreparedLabels& p, double value, const std::function<Interval()>& bounds,
            double scale, const std::string& unit, const std::string& rule, const std::string& name,
            std::vector<std::string>& unsaid) {
  if (!p.bounds) return quantity(value, unit, rule);
  return bounded(value, bounds(), scale, unit, rule, name, unsaid);
}

json stop_json(const ReportContext& context, const PreparedLabels& p, double eta,
               const std::string& name, const std::string& rule, std::vector<std::string>& unsaid) {
  const LabelModes& labels = p.modes;
  const bool never = std::isinf(eta);
  const auto residual = flow_residual(context.values, eta);
  json stop = quantity(eta, "1/l of K/n", rule);
  stop["never"] = never;
  stop["steps"] = quantity(eta * context.values[0], "steps of size 1/l_1", "eta l_1, centred");
  const double df = degrees_of_freedom(residual);
  stop["df"] = stated(
      p, df, [&] { return context.bounds->flow_df(eta); }, df, "modes", "sum 1 - exp(-eta l_k)",
      "df at " + name, unsaid);
  // The signal's power without its noise: unbiased, so that a mode's share can be negative.
  auto signal = labels.power;
  for (std::size_t k = 0; k < signal.size(); ++k) signal[k] -= labels.noise[k];
  const Risk risk =
      in_sample_risk(residual, signal, labels.noise, labels.outside_power - labels.outside_noise);
  const double scale = std::abs(risk.bias) + risk.variance;
  stop["in_sample_bias"] = stated(
      p, risk.bias, [&] { return p.bounds->bias(eta); }, scale, "y^2",
      "sum S_k^2 ((u_k y)^2/n - nz_k), S_k = exp(-eta l_k)", "in_sample_bias at " + name, unsaid);
  stop["in_sample_variance"] = stated(
      p, risk.variance, [&] { return p.bounds->variance(eta); }, scale, "y^2",
      "sum (1 - S_k)^2 nz_k", "in_sample_variance at " + name, unsaid);
  return stop;
}

}  // namespace

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
  const bool known = inputs.noise_source == NoiseSource::data && !inputs.noise_variances.empty();
  const std::size_t modes = context.computed().size();
  const std::vector<double> zero(modes, 0.0);
  p.modes = label_modes(labels.projections, square,
                        known ? std::span<const double>(inputs.noise_modes) : zero,
                        known ? mean(inputs.noise_variances) : 0.0, n, outputs, modes);
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
    p.noise = mean(inputs.noise_variances);
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
  const double n = context.n();
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
    point["noise_share"] = curve[i].usable() ? json(curve[i].noise_share) : json(nullptr);
    points.push_back(std::move(point));
  }
  set["plug_in"] = {
      {"unit", "y^2"},
      {"rule",
       "predicted excess risk of a ridge at n samples, from this kernel and all its labels "
       "(deterministic equivalent); the ridge is the one whose risk + standard_error is least; "
       "standard_error is that of label noise alone"},
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

  // Stopping times.
  const auto grid = eta_grid(values);
  json stops;
  const auto add_stop = [&](const char* rule, double eta, const char* meaning,
                            const std::optional<KnownStop>& known) {
    if (p.bounds && !known) {
      unsaid.push_back(std::string(rule) + " stop");
      return;
    }
    stops[rule] = stop_json(context, p, known ? known->eta : eta, rule, meaning, unsaid);
    if (known) stops[rule]["range"] = {number(known->range.low), number(known->range.high)};
  };
  std::optional<KnownStop> gcv;
  if (p.bounds && !std::isnan(p.gcv_eta)) gcv = KnownStop{p.gcv_eta, p.gcv_range};
  add_stop("gcv", p.gcv_eta, "minimum of (RSS/n)/(1 - df/n)^2", gcv);
  if (p.gcv_eta >= grid[gcv_points(values, p.modes, grid) - 1]) {
    say(context.caveats,
        "GCV finds no reason to stop, so effective_noise and rkhs_norm2 are those of a late fit");
  }
  const bool noisy = p.noise > 1e-12 * p.modes.total_power();
  if (noisy) {
    const double eta = discrepancy_stop(values, p.modes, p.noise);
    std::optional<KnownStop> sure, discrepancy;
    if (p.bounds) {
      sure = known_minimum(
          grid, [&](double at) { return sure_score(flow_residual(values, at), p.modes); },
          [&](double at) { return p.bounds->sure(at); });
      discrepancy = known_crossing(eta, p.noise, p.noise,
                                   [&](double at) { return p.bounds->training_error(at); });
    }
    add_stop("sure", p.bounds ? 0.0 : sure_stop(values, p.modes, grid),
             "minimum of RSS/n + 2 sum (1 - S_k) nz_k", sure);
    add_stop("discrepancy", eta, "first RSS/n <= noise variance", discrepancy);
  }
  if (!noisy) {
    say(context.limits,
        "no stopping time but GCV's: without noise there is no reason to stop early");
  } else if (std::isnan(p.norm2)) {
    unsaid.push_back("rwy stop");
  } else if (!(p.norm2 > 0)) {
    say(context.limits,
        "no Raskutti-Wainwright-Yu stopping time: the GCV-stopped fit has norm zero");
  } else {
    const double eta = rwy_stop(values, n, p.noise, p.norm2);
    const double radius = critical_radius2(values, n, p.noise, p.norm2);
    std::optional<KnownStop> stop;
    if (p.bounds) stop = known_rwy(context, p, eta);
    add_stop("rwy", eta, "last eta with sum min(l_k, 1/eta) <= n R^2/(4 e^2 s^2 eta^2)", stop);
    if (stops.contains("rwy")) {
      json& rwy = stops["rwy"];
      rwy["critical_radius2"] = quantity(radius, "y^2", "R^2 e_n^2");
      rwy["bound"] = quantity(12 * radius, "y^2", "12 R^2 e_n^2, bound on the in-sample risk");
      rwy["vacuous"] = 12 * radius > p.modes.signal();
      if (stop) {
        const auto norm = p.bounds->norm2(p.gcv_eta);
        const double error =
            error_of(radius, {norm.low / stop->range.high, norm.high / stop->range.low});
        rwy["critical_radius2"]["error"] = error;
        rwy["bound"]["error"] = 12 * error;
      }
    }
  }
  set["stopping"] = std::move(stops);
  if (!unsaid.empty()) {
    say(context.limits,
        fmt::format("{} leading pairs do not give within {:.0f} %: {}", context.computed().size(),
                    100 * widest_error, fmt::join(unsaid, ", ")));
  }
  return set;
}

}  // namespace ntk::theory
