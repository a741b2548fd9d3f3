// What the labels in the kernel's modes say beside the plug-in curve: where the target lies, the
// exponents that follow from it, and the regime of the learning curve.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "theory/linear_algebra.hpp"
#include "theory/rates.hpp"
#include "theory/report_parts.hpp"
#include "theory/source.hpp"

namespace ntk::theory {

using nlohmann::json;

namespace {

constexpr double hardly_matters = 1.2;  // never stopping over the best stop

json cumulative_json(const LabelModes& labels) {
  json power{{"unit", "1"},
             {"rule", "sum over modes up to k of (u_i y)^2/n - nz_i, over the signal variance"},
             {"k", json::array()},
             {"share", json::array()}};
  const auto shares = cumulative_power(labels);
  for (std::size_t decade = 1; decade <= shares.size(); decade *= 10) {
    for (const std::size_t step : {1, 2, 5}) {
      if (step * decade > shares.size()) continue;
      power["k"].push_back(step * decade);
      power["share"].push_back(shares[step * decade - 1]);
    }
  }
  if (!shares.empty() && power["k"].back() != shares.size()) {
    power["k"].push_back(shares.size());
    power["share"].push_back(shares.back());
  }
  return power;
}

// f of every window's tail exponent: that of the middle window, between the least and the most.
template <class Exponent>
json over_windows(std::span<const TailFit> fits, const std::string& rule, Exponent f) {
  std::vector<double> values;
  for (const auto& fit : fits) values.push_back(f(fit.exponent));
  const auto [low, high] = std::minmax_element(values.begin(), values.end());
  json result = quantity(values[1], "1", rule);
  result["low"] = *low;
  result["high"] = *high;
  result["window"] = {fits[1].first, fits[1].last};
  return result;
}

}  // namespace

json target_report(ReportContext& context, const LabelSet& labels, const PreparedLabels& p) {
  json target;
  target["alignment"] = quantity(kernel_target_alignment(context.values, p.modes), "1",
                                 "y^T K y / (|K|_F |y|^2), centred, with the labels' noise");
  target["cumulative_power"] = cumulative_json(p.modes);
  const std::size_t rank = signal_rank(p.modes);
  target["signal_rank"] =
      quantity(static_cast<double>(rank), "modes",
               "last k before which the signal of ranks (k/2, k] exceeds their noise");
  const auto fits = tail_fits(p.modes);
  target["tails"] = {{"rule",
                      "T(k)/(1 - k/n) ~ k^-s, weights 1/k; T(k) = sum over i > k of (u_i y)^2/n - "
                      "nz_i; s = 2 alpha r"},
                     {"fits", json::array()}};
  for (const auto& fit : fits) {
    target["tails"]["fits"].push_back(
        {{"s", fit.exponent}, {"window", {fit.first, fit.last}}, {"rms", fit.rms}});
  }
  target["source_exponent"] = nullptr;
  target["predictions"] = nullptr;
  const auto refuse = [&](const std::string& why) {
    context.limits.push_back(fmt::format(
        "label set {}: no source exponent and no exponent from it: {}", labels.name, why));
    return target;
  };
  if (fits.empty()) {
    return refuse(
        fmt::format("the signal exceeds the noise up to rank {} of {}; windows need 40 "
                    "ranks below n/5 = {:.0f}",
                    rank, context.values.size(), std::floor(p.modes.n / 5)));
  }
  if (std::ranges::any_of(fits, [](const auto& fit) { return !(fit.exponent > 0); })) {
    return refuse("what the leading modes leave of the target does not fall with their number");
  }
  json predictions{
      {"noisy", over_windows(fits, "-s/(s+1): noise, stopped at the best time", noisy_exponent)},
      {"noise_free",
       over_windows(fits, "-s: before the labels' noise matters", noise_free_exponent)},
      {"ridge_noisy", nullptr},
      {"ridge_noise_free", nullptr}};
  const auto alpha = kappa_windows(context.curve).full;
  if (alpha && alpha->alpha > least_alpha) {
    const double a = alpha->alpha;
    target["source_exponent"] = over_windows(fits, "r = s/(2 alpha), alpha by kappa-df",
                                             [&](double s) { return s / (2 * a); });
    const std::string rule = " with s at most 2 alpha: ridge regression saturates at r = 1";
    predictions["ridge_noisy"] = over_windows(
        fits, "-s/(s+1)" + rule, [&](double s) { return noisy_exponent(ridge_tail(s, a)); });
    predictions["ridge_noise_free"] = over_windows(
        fits, "-s" + rule, [&](double s) { return noise_free_exponent(ridge_tail(s, a)); });
  } else {
    context.limits.push_back("label set " + labels.name +
                             ": no exponent r and none of ridge regression: alpha is not above 1");
  }
  target["predictions"] = std::move(predictions);
  return target;
}

json regime_report(const json& plug_in, const PreparedLabels& p) {
  json regime{{"rule", "ratios of plug-in risks, at the largest n where they are usable"},
              {"noise_share", nullptr},
              {"null_to_best", nullptr},
              {"never_to_best", nullptr},
              {"stopping_matters", nullptr}};
  for (const auto& point : plug_in.at("curve")) {
    if (!point.at("risk").is_number()) continue;
    const double best = point.at("risk");
    const auto at_n = [&](double value, const std::string& rule) {
      json j = quantity(value, "1", rule);
      j["n"] = point.at("n");
      return j;
    };
    regime["noise_share"] =
        at_n(point.at("noise_share"), "part of the risk that label noise makes");
    regime["null_to_best"] =
        at_n(p.modes.signal() / best, "risk of the labels' mean over that of the best stop");
    if (!point.at("never_stopping").is_number()) continue;
    const double ratio = point.at("never_stopping").get<double>() / best;
    regime["never_to_best"] = at_n(ratio, "risk at ridge -> 0 over that of the best stop");
    regime["stopping_matters"] = ratio >= hardly_matters;
  }
  return regime;
}

void judge_exponents(const json& decay, std::vector<std::string>& limits) {
  const auto plateau = decay.find("plateau");
  if (plateau == decay.end() || plateau->at("found").get<bool>()) return;
  limits.push_back(
      "exponents from the decay are no predictions: no power law of the eigenvalues passes, so "
      "they are summaries of their windows");
}

}  // namespace ntk::theory
