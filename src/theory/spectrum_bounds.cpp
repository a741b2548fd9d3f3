#include "theory/spectrum_bounds.hpp"

#include <algorithm>
#include <cmath>

#include "base/error.hpp"

namespace ntk::theory {
namespace {

// ((1 - exp(-x))/x)^2, a completely monotone function as the square of the mean of exp(-x t) over
// t in [0, 1].
double mean_filter2(double x) {
  const double mean = x > 1e-8 ? -std::expm1(-x) / x : 1 - 0.5 * x;
  return mean * mean;
}

// The product of any interval with one of positive numbers.
Interval times(Interval a, Interval positive) {
  return {a.low * (a.low > 0 ? positive.low : positive.high),
          a.high * (a.high > 0 ? positive.high : positive.low)};
}

}  // namespace

SpectrumBounds::SpectrumBounds(std::vector<double> leading, const TailMoments& tail, double n)
    : leading_(std::move(leading)), tail_(tail), n_(n) {
  ensure(!leading_.empty() && leading_.back() > 0, "bounds from {} leading eigenvalues",
         leading_.size());
}

Interval SpectrumBounds::ridge_df(double lambda) const {
  double sum = 0;
  for (const double l : leading_) sum += l / (l + lambda);
  const auto left = tail_bounds(tail_, 0, [=](double l) { return lambda / (l + lambda); });
  return {sum + tail_.mass - left.high, sum + tail_.mass - left.low};
}

Interval SpectrumBounds::ridge_n2(double lambda) const {
  // -d df / d log lambda = sum l lambda/(l + lambda)^2.
  double sum = 0;
  for (const double l : leading_) sum += l * lambda / ((l + lambda) * (l + lambda));
  const auto left = [=](double l) { return lambda / (l + lambda); };
  const auto left2 = [=](double l) { return left(l) * left(l); };
  const auto slope = intersection(
      tail_bounds(tail_, 0, left) - tail_bounds(tail_, 0, left2),
      tail_bounds(tail_, 1, [=](double l) { return lambda / ((l + lambda) * (l + lambda)); }));
  const auto df = ridge_df(lambda);
  const auto subtracted = [&](double s, double dimension) {  // slope / (dlog kappa / dlog lambda)
    const double stretch = 1 - s / n_ / (1 - dimension / n_);
    return stretch > 0 ? s / stretch : dimension;
  };
  return {std::max(0.0, df.low - subtracted(sum + slope.high, df.high)),
          std::max(0.0, df.high - subtracted(sum + slope.low, df.low))};
}

Interval SpectrumBounds::flow_df(double eta) const {
  double sum = 0;
  for (const double l : leading_) sum += -std::expm1(-eta * l);
  const auto left = tail_bounds(tail_, 0, [=](double l) { return std::exp(-eta * l); });
  return {sum + tail_.mass - left.high, sum + tail_.mass - left.low};
}

Interval SpectrumBounds::capped_sum(double cap) const {
  double sum = 0;
  for (const double l : leading_) sum += std::min(l, cap);
  return Interval{sum, sum} + capped_bounds(tail_, cap);
}

RidgeCurve known_part(RidgeCurve curve, const SpectrumBounds& bounds, double widest) {
  std::size_t known = 0;
  while (known < curve.df.size() &&
         error_of(curve.df[known], bounds.ridge_df(curve.lambda[known])) <=
             widest * curve.df[known]) {
    ++known;
  }
  for (auto* values : {&curve.lambda, &curve.df, &curve.kappa, &curve.n2}) values->resize(known);
  return curve;
}

double alpha_error(const RidgeCurve& curve, const SpectrumBounds& bounds, const DecayFit& fit) {
  std::vector<double> x, wrong;
  for (std::size_t p = 0; p < curve.df.size(); ++p) {
    if (curve.df[p] < fit.low || curve.df[p] > fit.high) continue;
    const double off = error_of(curve.df[p], bounds.ridge_df(curve.lambda[p]));
    x.push_back(std::log(curve.kappa[p]));
    // Of log df + log kappa / alpha, which a larger df makes larger twice.
    wrong.push_back(off * (1 / curve.df[p] + 1 / (fit.alpha * (curve.n - curve.df[p]))));
  }
  double middle = 0, spread = 0, sum = 0;
  for (const double v : x) middle += v / static_cast<double>(x.size());
  for (std::size_t i = 0; i < x.size(); ++i) {
    spread += (x[i] - middle) * (x[i] - middle);
    sum += std::abs(x[i] - middle) * wrong[i];
  }
  return fit.alpha * fit.alpha * sum / spread;
}

LabelBounds::LabelBounds(const SpectrumBounds& spectrum, const LabelModes& labels,
                         const TailMoments& power, const TailMoments& noise)
    : spectrum_(&spectrum), null_modes_(labels.null_modes), power_tail_(power), noise_tail_(noise) {
  const auto modes = static_cast<std::ptrdiff_t>(spectrum.leading().size());
  power_.assign(labels.power.begin(), labels.power.begin() + modes);
  noise_.assign(labels.noise.begin(), labels.noise.begin() + modes);
}

// sum g(l) of weights on the leading modes and the tail.
template <class Filter>
Interval LabelBounds::filtered(std::span<const double> leading, const TailMoments& tail,
                               Filter g) const {
  double sum = 0;
  for (std::size_t i = 0; i < leading.size(); ++i) sum += leading[i] * g(spectrum_->leading()[i]);
  return Interval{sum, sum} + tail_bounds(tail, 0, g);
}

Interval LabelBounds::freedom(double eta) const {
  const auto df = spectrum_->flow_df(eta);
  const double all = spectrum_->n() - null_modes_;
  return {all - df.high, all - df.low};
}

Interval LabelBounds::training_error(double eta) const {
  return filtered(power_, power_tail_, [=](double l) { return std::exp(-2 * eta * l); });
}

Interval LabelBounds::gcv(double eta) const {
  const auto error = training_error(eta);
  const auto left = freedom(eta) * (1 / spectrum_->n());
  return {error.low / (left.high * left.high), error.high / (left.low * left.low)};
}

Interval LabelBounds::sure(double eta) const {
  const auto left = filtered(noise_, noise_tail_, [=](double l) { return std::exp(-eta * l); });
  double all = noise_tail_.mass;
  for (const double v : noise_) all += v;
  return training_error(eta) + (Interval{all, all} - left) * 2;
}

Interval LabelBounds::effective_noise(double eta) const {
  const auto error = training_error(eta) * spectrum_->n();
  const auto left = freedom(eta);
  return {error.low / left.high, error.high / left.low};
}

Interval LabelBounds::norm2(double eta) const {
  double sum = 0;
  for (std::size_t i = 0; i < power_.size(); ++i) {
    const double l = spectrum_->leading()[i], fit = -std::expm1(-eta * l);
    sum += fit * fit * power_[i] / l;
  }
  // (1 - S)^2/l = eta^2 l ((1 - S)/(eta l))^2.
  const auto rest = tail_bounds(power_tail_, 1, [=](double l) { return mean_filter2(eta * l); });
  return Interval{sum, sum} + rest * (eta * eta);
}

Interval LabelBounds::bias(double eta) const {
  const auto noise =
      filtered(noise_, noise_tail_, [=](double l) { return std::exp(-2 * eta * l); });
  return training_error(eta) - noise;
}

Interval LabelBounds::variance(double eta) const {
  double sum = 0;
  for (std::size_t i = 0; i < noise_.size(); ++i) {
    const double fit = -std::expm1(-eta * spectrum_->leading()[i]);
    sum += fit * fit * noise_[i];
  }
  const auto once = tail_bounds(noise_tail_, 0, [=](double l) { return std::exp(-eta * l); });
  const auto twice = tail_bounds(noise_tail_, 0, [=](double l) { return std::exp(-2 * eta * l); });
  const auto rest = intersection(
      Interval{noise_tail_.mass, noise_tail_.mass} - once * 2 + twice,
      tail_bounds(noise_tail_, 2, [=](double l) { return mean_filter2(eta * l); }) * (eta * eta));
  return Interval{sum, sum} + rest;
}

Interval LabelBounds::plug_in_risk(double lambda, double size, double noise_variance) const {
  const auto left2 = [=](double l) { return std::pow(lambda / (l + lambda), 2); };
  const auto train = filtered(power_, power_tail_, left2) - filtered(noise_, noise_tail_, left2);
  const auto df = spectrum_->ridge_df(lambda), n2 = spectrum_->ridge_n2(lambda);
  const double n = spectrum_->n();
  const Interval factor{(1 - n2.high / n) / std::pow(1 - df.low / n, 2),
                        (1 - n2.low / n) / std::pow(1 - df.high / n, 2)};
  if (!(n2.high < size) || !(factor.low > 0)) return {-never_stop, never_stop};
  const Interval growth{size / (size - n2.low), size / (size - n2.high)};
  const auto noise = Interval{noise_variance, noise_variance};
  return times(times(train, factor) + noise, growth) - noise;
}

}  // namespace ntk::theory
