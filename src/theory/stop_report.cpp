// Stopping times of one label set: when each rule stops, what that costs in sample, the closed form
// of RWY's, and what the times are in a training of the user's.
#include <fmt/format.h>

#include <cmath>

#include "theory/closed_stops.hpp"
#include "theory/decay_models.hpp"
#include "theory/report_parts.hpp"
#include "theory/stopping.hpp"

namespace ntk::theory {

using nlohmann::json;

namespace {

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
  if (context.training && !never) {
    const double steps = steps_of_eta(*context.training, eta);
    stop["training_steps"] = quantity(steps, "steps", "of the training in `training`");
    stop["epochs"] = quantity(epochs_of_steps(*context.training, steps), "epochs",
                              "training_steps times batch over samples");
  }
  return stop;
}

// By the law that the kernel looks like most; null where its formula does not hold.
json closed_form(const ReportContext& context, const StopScale& scale, double eta) {
  const auto& verdict = context.decay.at("verdict");
  std::string law, rule;
  std::optional<double> closed;
  if (verdict.contains("rank")) {
    const std::size_t rank = verdict.at("rank");
    law = law_name(DecayLaw::finite_rank);
    rule = "n R^2/(4 e^2 s^2 m)";
    closed = finite_rank_stop(static_cast<double>(rank), context.values.at(rank - 1), scale);
  } else if (verdict.at("kind") == "exponential or faster") {
    law = law_name(DecayLaw::exponential);
    rule = "eta (ln(A eta) + 1) = n R^2 c/(4 e^2 s^2), l_k = A exp(-c k) fitted to log N1";
    if (const auto fit = fit_law(context.curve, DecayLaw::exponential, 5, 0.5 * context.curve.n)) {
      const double c = fit->parameters[1];
      closed = exponential_stop(fit->parameters[0] * std::exp(c), c, scale);
    }
  } else if (const auto fit = kappa_windows(context.curve).full) {
    law = law_name(DecayLaw::power);
    rule =
        "[n R^2 (alpha-1)/(4 e^2 s^2 alpha A^(1/alpha))]^(alpha/(alpha+1)), l_k = A k^-alpha by "
        "kappa-df";
    if (fit->alpha > least_alpha) closed = power_law_stop(fit->scale, fit->alpha, scale);
  }
  if (!closed) return nullptr;
  json result = quantity(*closed, "1/l of K/n", rule);
  result["law"] = law;
  result["relative_difference"] = *closed / eta - 1;
  return result;
}

}  // namespace

json stop_report(ReportContext& context, const LabelSet& labels, const PreparedLabels& p,
                 std::vector<std::string>& unsaid) {
  const auto& values = context.values;
  const double n = context.n();
  const auto say = [&](std::vector<std::string>& list, const std::string& what) {
    list.push_back("label set " + labels.name + ": " + what);
  };
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
  if (context.inputs.head_fitted_on_labels) {
    say(context.limits,
        "no SURE, discrepancy or Raskutti-Wainwright-Yu stopping times, nor these rules and the "
        "smoothed one in learning curves: the head was fitted on labels of these rows, so that the "
        "kernel depends on their noise, which these rules take to be independent of it");
    say(context.caveats,
        "the head was fitted on these labels: all that takes their noise off (plug-in, corrected "
        "risk, norms, biases) is too favourable; fit the head on other rows");
    return stops;
  }
  if (!(p.noise > 1e-12 * p.modes.total_power())) {
    say(context.limits,
        "no stopping time but GCV's: without noise there is no reason to stop early");
    return stops;
  }
  const double discrepancy_eta = discrepancy_stop(values, p.modes, p.noise);
  std::optional<KnownStop> sure, discrepancy;
  if (p.bounds) {
    sure = known_minimum(
        grid, [&](double at) { return sure_score(flow_residual(values, at), p.modes); },
        [&](double at) { return p.bounds->sure(at); });
    discrepancy = known_crossing(discrepancy_eta, p.noise, p.noise,
                                 [&](double at) { return p.bounds->training_error(at); });
  }
  add_stop("sure", p.bounds ? 0.0 : sure_stop(values, p.modes, grid),
           "minimum of RSS/n + 2 sum (1 - S_k) nz_k", sure);
  add_stop("discrepancy", discrepancy_eta, "first RSS/n <= noise variance", discrepancy);
  if (std::isnan(p.norm2)) {
    unsaid.emplace_back("rwy stop");
    return stops;
  }
  if (!(p.norm2 > 0)) {
    say(context.limits,
        "no Raskutti-Wainwright-Yu stopping time: the GCV-stopped fit has norm zero");
    return stops;
  }
  const double eta = rwy_stop(values, n, p.noise, p.norm2);
  std::optional<KnownStop> known;
  if (p.bounds) known = known_rwy(context, p, eta);
  add_stop("rwy", eta, "last eta with sum min(l_k, 1/eta) <= n R^2/(4 e^2 s^2 eta^2)", known);
  if (!stops.contains("rwy")) return stops;
  const double radius = critical_radius2(values, n, p.noise, p.norm2);
  json& rwy = stops["rwy"];
  rwy["critical_radius2"] = quantity(radius, "y^2", "R^2 e_n^2");
  rwy["bound"] = quantity(12 * radius, "y^2", "12 R^2 e_n^2, bound on the in-sample risk");
  rwy["vacuous"] = 12 * radius > p.modes.signal();
  rwy["closed_form"] = p.bounds ? json(nullptr) : closed_form(context, {n, p.noise, p.norm2}, eta);
  if (known) {
    const auto norm = p.bounds->norm2(p.gcv_eta);
    const double error =
        error_of(radius, {norm.low / known->range.high, norm.high / known->range.low});
    rwy["critical_radius2"]["error"] = error;
    rwy["bound"]["error"] = 12 * error;
  }
  return stops;
}

json training_report(ReportContext& context) {
  const auto& asked = context.inputs.training;
  if (!asked) return nullptr;
  std::string why = conversion_obstacle(*asked);
  if (why.empty() && asked->outputs != static_cast<double>(context.inputs.rows_per_sample)) {
    why = fmt::format(
        "the kernel has {} row(s) a sample for {} outputs, so its modes are not those of the loss",
        context.inputs.rows_per_sample, asked->outputs);
  }
  if (!why.empty()) {
    context.limits.push_back("no stopping time in steps or epochs of your training: " + why);
    return nullptr;
  }
  context.training = asked;
  const double a = step_size(*asked);
  const double limit = largest_stable_step(*asked, context.values[0]);
  json training{{"step", quantity(a, "1/l of K/n",
                                  "learning rate times 2, times outputs where they are "
                                  "summed, half of it with 1/2 in the loss")},
                {"largest_stable_step",
                 quantity(limit, "1/l of K/n",
                          "2 (1 + momentum)/l_1, centred; mini-batches diverge earlier")},
                {"largest_stable_learning_rate",
                 quantity(asked->learning_rate * limit / a, "1", "the same as a learning rate")},
                {"stable", a < limit}};
  if (!context.inputs.raw_eigenvalues.empty()) {
    const double raw = largest_stable_step(*asked, context.inputs.raw_eigenvalues[0]);
    training["largest_stable_step_raw"] =
        quantity(raw, "1/l of K/n", "the same with l_1 of the raw kernel: the mean learns there");
    training["stable_raw"] = a < raw;
  }
  const bool unstable = !training.at("stable").get<bool>() || !training.value("stable_raw", true);
  if (unstable) {
    context.caveats.push_back(
        "theory.learning_rate is above what gradient descent is stable with: the stopping times "
        "are not reached that way");
  }
  return training;
}

}  // namespace ntk::theory
