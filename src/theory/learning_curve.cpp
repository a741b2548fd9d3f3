#include "theory/learning_curve.hpp"

#include <cmath>
#include <limits>

#include "base/error.hpp"
#include "theory/linear_algebra.hpp"

namespace ntk::theory {

std::vector<LearningPoint> plug_in_curve(std::span<const double> eigenvalues,
                                         const RidgeCurve& curve, const LabelModes& labels,
                                         double noise_variance, std::span<const double> sizes) {
  ensure(eigenvalues.size() == labels.power.size(), "{} eigenvalues for {} label modes",
         eigenvalues.size(), labels.power.size());
  const double outside = labels.outside_power - labels.outside_noise;
  const double outside_modes =
      labels.n - labels.null_modes - static_cast<double>(eigenvalues.size());
  // Variance of a mode's squared noise: 2 nz^2 for Gaussian noise.
  const double outside_variance =
      outside_modes > 0 ? 2 * labels.outside_noise * labels.outside_noise / outside_modes : 0.0;
  std::vector<double> bias, error;
  for (std::size_t p = 0; p < curve.lambda.size(); ++p) {
    double train = outside, variance = outside_variance;
    const auto left = ridge_residual(eigenvalues, curve.lambda[p]);
    for (std::size_t i = 0; i < left.size(); ++i) {
      train += left[i] * left[i] * (labels.power[i] - labels.noise[i]);
      variance += 2 * std::pow(left[i] * left[i] * labels.noise[i], 2);
    }
    const double unfitted = 1 - curve.df[p] / curve.n;
    const double factor = (1 - curve.n2[p] / curve.n) / (unfitted * unfitted);
    bias.push_back(train * factor);
    error.push_back(std::sqrt(variance) * factor);
  }
  std::vector<LearningPoint> points;
  for (const double n : sizes) {
    LearningPoint best;
    double least = std::numeric_limits<double>::infinity();
    for (std::size_t p = 0; p < bias.size(); ++p) {
      if (!(curve.df[p] < n)) continue;
      const double growth = n / (n - curve.n2[p]);
      const double risk = growth * (bias[p] + noise_variance) - noise_variance;
      if (!(risk + growth * error[p] < least)) continue;
      least = risk + growth * error[p];
      const double noise = noise_variance * curve.n2[p] / (n - curve.n2[p]);
      best = {n, risk, curve.kappa[p], curve.df[p], growth * error[p], noise / risk};
    }
    points.push_back(best);
  }
  return points;
}

double learning_slope(std::span<const LearningPoint> curve) {
  std::vector<double> x, y;
  for (const auto& point : curve) {
    if (!point.usable()) return std::numeric_limits<double>::quiet_NaN();
    x.push_back(std::log(point.n));
    y.push_back(std::log(point.risk));
  }
  return fit_line(x, y, std::vector<double>(x.size(), 1.0)).slope;
}

}  // namespace ntk::theory
