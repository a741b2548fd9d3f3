#include "theory/closed_stops.hpp"

#include <cmath>
#include <numbers>

namespace ntk::theory {

double StopScale::bound() const {
  return n * norm2 / (4 * std::numbers::e * std::numbers::e * noise_variance);
}

std::optional<double> power_law_stop(double scale, double alpha, const StopScale& of) {
  if (!(alpha > 1) || !(scale > 0)) return std::nullopt;
  return std::pow(of.bound() * (alpha - 1) / (alpha * std::pow(scale, 1 / alpha)),
                  alpha / (alpha + 1));
}

std::optional<double> finite_rank_stop(double rank, double last, const StopScale& of) {
  if (!(rank > 0)) return std::nullopt;
  const double eta = of.bound() / rank;
  return eta * last > 1 ? std::optional(eta) : std::nullopt;
}

std::optional<double> exponential_stop(double scale, double decay, const StopScale& of) {
  if (!(scale > 0) || !(decay > 0)) return std::nullopt;
  // eta (ln(A eta) + 1) rises with eta from l_1 eta = 1 on; Newton's method from above converges.
  const double target = of.bound() * decay, first = std::exp(decay) / scale;
  if (!(target >= first * (decay + 1))) return std::nullopt;
  double eta = target;
  for (int i = 0; i < 100; ++i) {
    const double log = std::log(scale * eta);
    const double step = (eta * (log + 1) - target) / (log + 2);
    eta = eta - step > first ? eta - step : first;
    if (std::abs(step) < 1e-15 * eta) break;
  }
  return eta;
}

}  // namespace ntk::theory
