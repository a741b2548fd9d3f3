// What the eigenvalues alone say: exponents with their uncertainty, laws of decay, plateau.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>

#include "theory/decay.hpp"
#include "theory/decay_check.hpp"
#include "theory/linear_algebra.hpp"
#include "theory/rates.hpp"
#include "theory/report_parts.hpp"
#include "theory/sub_spectra.hpp"

namespace ntk::theory {

using nlohmann::json;

namespace {

constexpr std::size_t half_draws = 50;    // for the uncertainty
constexpr std::size_t smaller_draws = 8;  // for the drift with n
constexpr std::size_t most_half_rows = 1024;
constexpr std::size_t most_checked_rows = 1024;
constexpr std::size_t least_checked_rows = 60;
constexpr double good_fit = 0.02;  // rms of log N1

json fit_json(const std::optional<DecayFit>& fit, const std::string& rule) {
  if (!fit) return nullptr;
  json j = quantity(fit->alpha, "1", rule);
  j["window"] = {fit->low, fit->high};
  j["points"] = fit->points;
  j["rms"] = fit->rms;
  return j;
}

// alpha's standard deviations, its drift with n, and the ranks that half the rows agree on.
void add_uncertainty(const ReportContext& context, json& decay) {
  const auto& inputs = context.inputs;
  const auto outputs = static_cast<std::size_t>(inputs.rows_per_sample);
  const auto whole_samples = [&](std::size_t count) { return count - count % outputs; };
  const std::size_t rows = inputs.subset.size();
  const std::size_t half = whole_samples(std::min(rows / 2, most_half_rows));
  const auto halves = sub_spectra(inputs.kernel, rows, half, half_draws, inputs.seed, outputs);
  const auto at_half = kappa_values(halves, half, context.reach);
  // Of the rows looked at; of all rows it is smaller.
  const double shrink = std::sqrt(static_cast<double>(rows) / context.n());
  const auto add_sd = [&](const char* name, const std::vector<double>& values) {
    if (decay.at(name).is_null()) return;
    const auto sd = jackknife_sd(values, half, rows);
    decay[name]["sd"] = sd ? json(*sd * shrink) : json(nullptr);
  };
  add_sd("alpha", at_half.full);
  add_sd("alpha_low", at_half.low);
  add_sd("alpha_high", at_half.high);
  decay["sd_rule"] = fmt::format(
      "jackknife over {} principal sub-matrices of {} of {} rows, without replacement; windows and "
      "drift are systematic and not in it",
      half_draws, half, rows);

  json by_n = json::array();
  const auto add_point = [&](double n, const std::vector<double>& alphas) {
    if (!alphas.empty()) by_n.push_back({{"n", n}, {"alpha", mean(alphas)}});
  };
  for (const std::size_t part : {4, 2}) {
    const std::size_t m = whole_samples(half / part);
    if (m < 20) continue;
    add_point(static_cast<double>(m),
              kappa_values(sub_spectra(inputs.kernel, rows, m, smaller_draws, inputs.seed, outputs),
                           m, context.reach)
                  .full);
  }
  add_point(static_cast<double>(half), at_half.full);
  if (!decay.at("alpha").is_null()) {
    add_point(context.n(), {decay.at("alpha").at("value").get<double>()});
  }
  decay["alpha_by_n"] = std::move(by_n);

  if (static_cast<double>(rows) == context.n() && half == whole_samples(rows / 2)) {
    decay["agreeing_rank"] =
        quantity(static_cast<double>(agreeing_rank(context.curve, halves, half)), "modes",
                 "N1 of n and n/2 rows agree within 5 % up to here");
  }
}

// alpha over windows [first, last] of ranks, null where too few ranks lie between.
json alpha_map(std::span<const double> values, std::size_t last_rank) {
  std::vector<std::size_t> edges;
  for (std::size_t decade = 1; decade <= last_rank; decade *= 10) {
    for (const std::size_t step : {1, 2, 5}) {
      if (step * decade < last_rank) edges.push_back(step * decade);
    }
  }
  edges.push_back(last_rank);
  json map{{"rule", "rank line with weights 1/k over ranks [first, last]"},
           {"first", json::array()},
           {"last", json::array()},
           {"alpha", json::array()}};
  for (const std::size_t first : edges) {
    json row = json::array();
    bool any = false;
    for (const std::size_t last : edges) {
      const auto fit = last >= 2 * first ? rank_decay(values, first, last) : std::nullopt;
      row.push_back(fit ? json(fit->alpha) : json(nullptr));
      any = any || fit;
    }
    if (!any) continue;
    map["first"].push_back(first);
    map["alpha"].push_back(std::move(row));
  }
  map["last"] = edges;
  return map;
}

// -dlog kappa / dlog N1: the exponent around rank N1.
json local_exponents(const RidgeCurve& curve) {
  json points = json::array();
  double next = 2;
  for (std::size_t p = 1; p + 1 < curve.df.size() && curve.df[p] <= 0.5 * curve.n; ++p) {
    if (curve.df[p] < next) continue;
    points.push_back({{"rank", curve.df[p]},
                      {"exponent", -std::log(curve.kappa[p + 1] / curve.kappa[p - 1]) /
                                       std::log(curve.df[p + 1] / curve.df[p - 1])}});
    next = 1.2 * curve.df[p];
  }
  return points;
}

json law_json(const LawCheck& check) {
  json parameters = json::object();
  const auto names = law_parameters(check.model.law);
  for (std::size_t i = 0; i < names.size(); ++i) {
    parameters[names[i]] = check.model.parameters[i];
  }
  json law{{"law", law_name(check.model.law)},
           {"parameters", parameters},
           {"rms", check.model.rms},
           {"extrapolation_rms", number(check.extrapolation_rms)},
           {"draws", check.draws},
           {"accepted", check.draws > 0 ? json(check.accepted()) : json(nullptr)},
           {"statistics", json::array()}};
  for (const auto& s : check.statistics) {
    law["statistics"].push_back({{"name", s.observed.name()},
                                 {"observed", s.observed.value},
                                 {"low", number(s.low)},
                                 {"high", number(s.high)},
                                 {"inside", s.inside()}});
  }
  return law;
}

// The conclusion in words.
json plateau(std::span<const LawCheck> checks, const json& exponents) {
  const auto accepted =
      std::find_if(checks.begin(), checks.end(), [](const auto& c) { return c.accepted(); });
  const auto broken = std::find_if(checks.begin(), checks.end(), [](const auto& c) {
    return c.model.law == DecayLaw::broken && c.model.rms <= good_fit;
  });
  json result{{"found", false}, {"law", nullptr}};
  if (accepted != checks.end()) {
    result["law"] = law_name(accepted->model.law);
    if (accepted->model.law == DecayLaw::power) {
      result["found"] = true;
      result["text"] = fmt::format("plateau: a power law of exponent {:.2f} looks like this kernel",
                                   accepted->model.parameters[1]);
      return result;
    }
  }
  std::string text = "no plateau";
  if (broken != checks.end()) {
    const auto& p = broken->model.parameters;
    text += fmt::format(": exponent {:.1f} up to a knee near k = {:.0f}, {:.1f} beyond", p[1], p[3],
                        p[2]);
  } else if (exponents.size() >= 2) {
    text += fmt::format(": local exponent {:.1f} to {:.1f}",
                        exponents.front().at("exponent").get<double>(),
                        exponents.back().at("exponent").get<double>());
  }
  text += accepted == checks.end()
              ? "; draws of no law look like it"
              : fmt::format("; draws of a law look like it ({})", law_name(accepted->model.law));
  result["text"] = std::move(text);
  return result;
}

// Fits and draws, on at most `most_checked_rows` rows.
void add_laws(ReportContext& context, json& decay) {
  const auto& inputs = context.inputs;
  std::size_t rows = static_cast<std::size_t>(context.n());
  std::vector<double> part;
  std::span<const double> values = context.values;
  if (inputs.rows_per_sample != 1 || rows < least_checked_rows) {
    context.limits.push_back(
        fmt::format("no law of decay is judged: it takes at least {} rows of a kernel with one row "
                    "a sample",
                    least_checked_rows));
    return;
  }
  if (rows > most_checked_rows || context.bounds) {
    if (inputs.kernel.empty()) return;
    rows = std::min(inputs.subset.size(), most_checked_rows);
    part = sub_spectra(inputs.kernel, inputs.subset.size(), rows, 1, inputs.seed).front();
    values = part;
  }
  const auto checks = check_laws(values, rows, inputs.seed, inputs.law_draws);
  if (checks.empty()) return;
  json laws = json::array();
  for (const auto& check : checks) laws.push_back(law_json(check));
  decay["laws"] = {
      {"rule",
       "least squares of log N1 over df in [5, n/2]; accepted where the statistics of the "
       "kernel lie among those of draws of as many rows of Gaussian features"},
      {"rows", rows},
      {"fits", laws}};
  decay["plateau"] = plateau(checks, decay.at("local_exponents"));
}

}  // namespace

json decay_report(ReportContext& context) {
  const auto& inputs = context.inputs;
  const double n = context.n();
  const auto windows = kappa_windows(context.curve, context.reach);
  const auto exponent = [&](const std::optional<DecayFit>& fit, const std::string& rule) {
    json j = fit_json(fit, rule);
    if (fit && context.bounds) {
      j["error"] = alpha_error(context.curve, *context.bounds, *fit);
      j["rule"] = rule + (context.reach < 0.5 ? ", as far as df is known" : "");
    }
    return j;
  };
  json decay;
  decay["alpha"] = exponent(windows.full, "kappa-df, df in [5, n/2]");
  decay["alpha_low"] = exponent(windows.low, "kappa-df, df in [5, n/10]");
  decay["alpha_high"] = exponent(windows.high, "kappa-df, df in [n/10, n/2]");
  if (windows.low && windows.high) {
    decay["alpha_drift"] = quantity(windows.high->alpha - windows.low->alpha, "1",
                                    "alpha_high - alpha_low: the uncertainty of alpha");
    if (context.bounds) {
      decay["alpha_drift"]["error"] =
          decay["alpha_low"]["error"].get<double>() + decay["alpha_high"]["error"].get<double>();
    }
    if (std::abs(windows.high->alpha - windows.low->alpha) > 0.1) {
      context.caveats.push_back(
          "alpha drifts between its windows: the spectrum is no pure power law and the worst-case "
          "exponent is a summary of one window");
    }
  }
  if (!windows.full && context.bounds) {
    context.limits.push_back(
        "no decay exponent: df is not known over a window from 5 to 10 or more");
  } else if (!windows.full) {
    context.limits.push_back(
        "no decay exponent: the kernel has too few modes to reach df = n/2 (n = " +
        std::to_string(static_cast<std::int64_t>(n)) +
        ", modes = " + std::to_string(context.values.size()) + ")");
  }
  decay["worst_case_exponent"] =
      windows.full ? quantity(worst_case_exponent(windows.full->alpha), "1",
                              "-alpha/(alpha+1), target just inside the RKHS, worst case")
                   : json(nullptr);
  if (windows.full && context.bounds) {
    decay["worst_case_exponent"]["error"] =
        decay["alpha"]["error"].get<double>() / std::pow(windows.full->alpha + 1, 2);
  }

  const double rounding =
      n * std::numeric_limits<double>::epsilon() * std::abs(inputs.eigenvalues[0]);
  const double floor = std::max(inputs.floor, rounding);
  const auto order = static_cast<std::size_t>(n);
  const auto computed = context.computed();
  decay["alpha_rank"] =
      fit_json(rank_decay(computed, 5, order / 10), "rank line with weights 1/k, ranks 5 to n/10");
  decay["alpha_rank_all"] =
      fit_json(context.bounds ? std::nullopt : rank_decay(computed, 5, order, RankWeights::equal),
               "unweighted line through all ranks from 5: biased, for comparison only");
  decay["local_slopes"] = json::array();
  for (const auto& fit : local_slopes(computed, floor)) {
    decay["local_slopes"].push_back(fit_json(fit, "-dlog l/dlog k, weights 1/k"));
  }
  const auto resolved = static_cast<std::size_t>(
      std::lower_bound(computed.begin(), computed.end(), floor, std::greater<>()) -
      computed.begin());
  decay["alpha_map"] = alpha_map(computed, std::min(resolved, order / 2));
  decay["local_exponents"] = local_exponents(context.curve);
  const bool all = inputs.eigenvalues.size() == order;  // with those that centring makes zero
  const auto verdict = classify_decay(
      inputs.eigenvalues, floor, all ? static_cast<std::size_t>(inputs.rows_per_sample) : 0, order);
  decay["verdict"] = {{"kind", verdict.kind},
                      {"rule",
                       "finite rank: a gap above 1e3 down to the floor; else g of log l_k = "
                       "c - s (k^g-1)/g: |g| < 0.1 polynomial, g > 0.8 exponential"}};
  if (verdict.rank) decay["verdict"]["rank"] = *verdict.rank;
  decay["stretched"] = json::array();
  for (const auto& f : verdict.windows) {
    decay["stretched"].push_back(
        {{"g", f.g}, {"s", f.s}, {"window", {f.first, f.last}}, {"rms", f.rms}});
  }
  if (!inputs.kernel.empty() && inputs.subset.size() >= 40) add_uncertainty(context, decay);
  if (verdict.rank) {
    decay["plateau"] = {{"found", false},
                        {"law", law_name(DecayLaw::finite_rank)},
                        {"text", fmt::format("no plateau: finite rank {}", *verdict.rank)}};
  } else if (inputs.law_draws > 0) {
    add_laws(context, decay);
  }
  return decay;
}

}  // namespace ntk::theory
