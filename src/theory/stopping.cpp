#include "theory/stopping.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "base/error.hpp"

namespace ntk::theory {
namespace {

constexpr double e2 = std::numbers::e * std::numbers::e;

double capped_sum(std::span<const double> eigenvalues, double cap) {
  double sum = 0;
  for (const double l : eigenvalues) sum += std::min(l, cap);
  return sum;
}

double bound(double n, double noise_variance, double norm2) {
  return n * norm2 / (4 * e2 * noise_variance);
}

}  // namespace

double rwy_stop(std::span<const double> eigenvalues, double n, double noise_variance,
                double norm2) {
  ensure(!eigenvalues.empty() && eigenvalues[0] > 0 && n > 0 && noise_variance > 0 && norm2 > 0,
         "a stopping time for n = {}, noise variance {} and squared norm {}", n, noise_variance,
         norm2);
  // eta^2 sum min(l, 1/eta) grows from 0 without bound, so one crossing exists.
  const double target = bound(n, noise_variance, norm2);
  const auto value = [&](double eta) { return eta * eta * capped_sum(eigenvalues, 1 / eta); };
  double low = 1 / eigenvalues[0], high = low;
  while (value(low) > target) low /= 2;
  while (value(high) <= target) high *= 2;
  for (int i = 0; i < 200 && high > low * (1 + 1e-15); ++i) {
    const double middle = 0.5 * (low + high);
    (value(middle) > target ? high : low) = middle;
  }
  return low;
}

std::int64_t rwy_steps(std::span<const double> eigenvalues, double n, double noise_variance,
                       double norm2, double step) {
  return static_cast<std::int64_t>(
      std::floor(rwy_stop(eigenvalues, n, noise_variance, norm2) / step));
}

double critical_radius2(std::span<const double> eigenvalues, double n, double noise_variance,
                        double norm2) {
  return norm2 / rwy_stop(eigenvalues, n, noise_variance, norm2);
}

double rwy_stop_polynomial(double scale, double alpha, double n, double noise_variance,
                           double norm2) {
  const double base =
      bound(n, noise_variance, norm2) * (alpha - 1) / (alpha * std::pow(scale, 1 / alpha));
  return std::pow(base, alpha / (alpha + 1));
}

double rwy_stop_finite_rank(double rank, double n, double noise_variance, double norm2) {
  return bound(n, noise_variance, norm2) / rank;
}

double rwy_stop_exponential(double scale, double decay, double n, double noise_variance,
                            double norm2) {
  const double numerator = bound(n, noise_variance, norm2) * decay;
  double eta = numerator;
  for (int i = 0; i < 200; ++i) {
    eta = numerator / (std::max(0.0, std::log(scale * eta)) + 1);
  }
  return eta;
}

double worst_case_exponent(double alpha) {
  return -alpha / (alpha + 1);
}

}  // namespace ntk::theory
