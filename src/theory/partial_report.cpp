// What a report on leading pairs adds to one on a full spectrum: the completed tail, errors, and
// what is left unsaid.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <numeric>

#include "theory/report_parts.hpp"

namespace ntk::theory {

using nlohmann::json;

SpectralMoments label_moments(std::span<const double> y, std::span<const double> product) {
  SpectralMoments m;
  for (std::size_t i = 0; i < y.size(); ++i) {
    m.first += y[i] * product[i];
    m.second += product[i] * product[i];
  }
  const auto n = static_cast<double>(y.size());
  return {m.first / n, m.second / n};
}

SpectralMoments noise_moments(std::span<const double> variances, std::span<const double> diagonal,
                              std::span<const double> row_squares) {
  const auto n = static_cast<double>(variances.size());
  const auto against = [&](std::span<const double> values) {
    return std::inner_product(variances.begin(), variances.end(), values.begin(), 0.0) / n;
  };
  return {against(diagonal), against(row_squares)};
}

json bounded(double value, Interval bounds, double scale, const std::string& unit,
             const std::string& rule, const std::string& name, std::vector<std::string>& unsaid) {
  const double error = error_of(value, bounds);
  const bool known = error <= widest_error * std::abs(scale);
  json j = quantity(known ? value : std::nan(""), unit, rule);
  j["error"] = std::isnan(value) ? json(nullptr) : number(error);
  if (!known) unsaid.push_back(name);
  return j;
}

std::optional<TailMoments> spectrum_tail(const TheoryInputs& inputs, double modes, double least) {
  double first = inputs.sums.first, second = inputs.sums.second;
  for (const double l : inputs.eigenvalues) {
    first -= l;
    second -= l * l;
  }
  if (!(modes > 0) || !(first > least * inputs.eigenvalues.front())) return std::nullopt;
  const double rounding = static_cast<double>(inputs.samples * inputs.rows_per_sample) *
                          std::numeric_limits<double>::epsilon() * inputs.sums.second;
  return TailMoments::of(inputs.eigenvalues.back(), modes, first, second, rounding);
}

void complete_spectrum(ReportContext& context, const TailMoments& tail, double least) {
  context.bounds.emplace(context.values, tail, context.n());
  context.tail = complete_tail(tail, static_cast<std::size_t>(tail.mass));
  const double floor = least * context.values.front();
  for (const double l : context.tail) {
    if (l > floor) context.values.push_back(l);
  }
}

void restrict_to_known(ReportContext& context) {
  const auto pairs = context.computed().size();
  const auto points = context.curve.df.size();
  context.curve = known_part(std::move(context.curve), *context.bounds);
  context.cut = context.curve.df.size() < points;
  const double reach = context.curve.df.empty() ? 0.0 : context.curve.df.back() / context.n();
  context.caveats.push_back(fmt::format(
      "{} of {} eigenvalues were computed: numbers with an `error` are estimates from these and "
      "the sums of the others, at most so far from what all eigenvalues would give",
      pairs, static_cast<std::int64_t>(context.n())));
  if (!context.cut || reach >= context.reach) return;
  context.reach = reach;
  context.limits.push_back(fmt::format(
      "no exponent or risk from df above {:.4g}: {} leading pairs bound it no better "
      "than {:.0f} % there; more are had with spectrum.leading",
      context.curve.df.empty() ? 0.0 : context.curve.df.back(), pairs, 100 * widest_error));
}

void complete_labels(const ReportContext& context, const LabelSet& labels, bool known,
                     PreparedLabels& prepared) {
  auto& modes = prepared.modes;
  const auto& spectrum = *context.bounds;
  const auto& values = spectrum.leading();
  const auto rest = [&](const std::vector<double>& weights, double outside,
                        const SpectralMoments& sums) {
    double first = sums.first, second = sums.second;
    for (std::size_t k = 0; k < values.size(); ++k) {
      first -= weights[k] * values[k];
      second -= weights[k] * values[k] * values[k];
    }
    return TailMoments::of(spectrum.tail().top, outside, first, second);
  };
  const auto power = rest(modes.power, modes.outside_power, labels.moments);
  const auto noise =
      known ? rest(modes.noise, modes.outside_noise, labels.noise_sums) : TailMoments();
  prepared.power_tail = power;
  prepared.bounds.emplace(spectrum, modes, power, noise);
  // Onto the completed tail; what falls on its zeros stays outside.
  const std::size_t positive = context.values.size() - values.size();
  const auto spread = [&](const TailMoments& moments, std::vector<double>& weights,
                          double& outside) {
    const auto all = spread_over(moments, context.tail);
    weights.insert(weights.end(), all.begin(), all.begin() + static_cast<std::ptrdiff_t>(positive));
    outside = std::accumulate(all.begin() + static_cast<std::ptrdiff_t>(positive), all.end(), 0.0);
  };
  spread(power, modes.power, modes.outside_power);
  spread(noise, modes.noise, modes.outside_noise);
}

std::optional<KnownStop> known_minimum(std::span<const double> grid,
                                       const std::function<double(double)>& score,
                                       const std::function<Interval(double)>& bounds) {
  std::vector<Interval> at;
  double least = std::numeric_limits<double>::infinity();
  double estimate = least;
  std::size_t known = 0, best = 0;
  for (std::size_t p = 0; p < grid.size(); ++p) {
    at.push_back(bounds(grid[p]));
    least = std::min(least, at[p].high);
    const double value = score(grid[p]);
    if (known < p || error_of(value, at[p]) > widest_error * value) continue;
    known = p + 1;
    if (value < estimate) {
      estimate = value;
      best = p;
    }
  }
  if (known == 0 || (best + 1 == known && known < grid.size())) return std::nullopt;
  KnownStop stop{grid[best], {grid[best], grid[best]}};
  for (std::size_t p = 0; p < grid.size(); ++p) {
    if (at[p].low > least) continue;
    stop.range = {std::min(stop.range.low, grid[p]), std::max(stop.range.high, grid[p])};
  }
  return stop;
}

std::optional<KnownStop> known_crossing(double eta, double level, double estimate,
                                        const std::function<Interval(double)>& error) {
  if (eta == 0) return KnownStop{eta, {eta, eta}};
  if (std::isinf(eta) || error_of(estimate, error(eta)) > widest_error * level) return std::nullopt;
  // Both ends by bisection of log eta, within a factor of 1e6 of the estimate.
  const auto crossing = [&](auto end) {
    double low = std::log(eta) - 14, high = std::log(eta) + 14;
    if (end(error(std::exp(high))) > level) return never_stop;
    for (int i = 0; i < 60; ++i) {
      const double middle = 0.5 * (low + high);
      (end(error(std::exp(middle))) > level ? low : high) = middle;
    }
    return std::exp(high);
  };
  return KnownStop{
      eta,
      {crossing([](Interval i) { return i.low; }), crossing([](Interval i) { return i.high; })}};
}

double plug_in_error(const ReportContext& context, const PreparedLabels& p,
                     const LearningPoint& point) {
  if (context.curve.kappa.empty() || (context.cut && point.kappa == context.curve.kappa.back())) {
    return never_stop;
  }
  const double lambda = point.kappa * (1 - point.df / context.n());
  return error_of(point.risk, p.bounds->plug_in_risk(lambda, point.n, p.noise));
}

std::optional<KnownStop> known_rwy(const ReportContext& context, const PreparedLabels& p,
                                   double eta) {
  const auto norm = p.bounds->norm2(p.gcv_eta);
  const auto& values = context.computed();
  const auto end = [&](double norm2, bool high) {
    // eta^2 sum min(l, 1/eta) against n R^2/(4 e^2 s^2); the larger the sum, the sooner the stop.
    const auto beyond = [&](double at) {
      const auto sum = context.bounds->capped_sum(1 / at);
      return at * at * (high ? sum.low : sum.high) >
             context.n() * norm2 / (4 * std::pow(std::numbers::e, 2) * p.noise);
    };
    double low = std::log(1e-6 / values[0]), top = std::log(1e6 * eta);
    for (int i = 0; i < 60; ++i) {
      const double middle = 0.5 * (low + top);
      (beyond(std::exp(middle)) ? top : low) = middle;
    }
    return std::exp(low);
  };
  const Interval range{end(norm.low, false), end(norm.high, true)};
  if (!(error_of(eta, range) <= widest_error * eta)) return std::nullopt;
  return KnownStop{eta, range};
}

}  // namespace ntk::theory
