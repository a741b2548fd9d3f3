#include "theory/stopping.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "base/error.hpp"

namespace ntk::theory {
namespace {

double capped_sum(std::span<const double> eigenvalues, double cap) {
  double sum = 0;
  for (const double l : eigenvalues) sum += std::min(l, cap);
  return sum;
}

}  // namespace

double rwy_stop(std::span<const double> eigenvalues, double n, double noise_variance,
                double norm2) {
  ensure(!eigenvalues.empty() && eigenvalues[0] > 0 && n > 0 && noise_variance > 0 && norm2 > 0,
         "a stopping time for n = {}, noise variance {} and squared norm {}", n, noise_variance,
         norm2);
  // eta^2 sum min(l, 1/eta) grows from 0 without bound, so one crossing exists.
  constexpr double e2 = std::numbers::e * std::numbers::e;
  const double target = n * norm2 / (4 * e2 * noise_variance);
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

double critical_radius2(std::span<const double> eigenvalues, double n, double noise_variance,
                        double norm2) {
  return norm2 / rwy_stop(eigenvalues, n, noise_variance, norm2);
}

}  // namespace ntk::theory
