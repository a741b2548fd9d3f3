#include "theory/learning_curve.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/error.hpp"
#include "theory/linear_algebra.hpp"

namespace ntk::theory {

BiasCurve bias_curve(std::span<const double> eigenvalues, const RidgeCurve& curve,
                     const LabelModes& labels) {
  ensure(eigenvalues.size() == labels.power.size(), "{} eigenvalues for {} label modes",
         eigenvalues.size(), labels.power.size());
  const double outside = labels.outside_power - labels.outside_noise;
  const double outside_modes =
      labels.n - labels.null_modes - static_cast<double>(eigenvalues.size());
  // Variance of a mode's squared noise: 2 nz^2 for Gaussian noise.
  const double outside_variance =
      outside_modes > 0 ? 2 * labels.outside_noise * labels.outside_noise / outside_modes : 0.0;
  BiasCurve result;
  for (std::size_t p = 0; p < curve.lambda.size(); ++p) {
    double train = outside, variance = outside_variance;
    const auto left = ridge_residual(eigenvalues, curve.lambda[p]);
    for (std::size_t i = 0; i < left.size(); ++i) {
      train += left[i] * left[i] * (labels.power[i] - labels.noise[i]);
      variance += 2 * std::pow(left[i] * left[i] * labels.noise[i], 2);
    }
    const double unfitted = 1 - curve.df[p] / curve.n;
    const double factor = (1 - curve.n2[p] / curve.n) / (unfitted * unfitted);
    result.bias.push_back(train * factor);
    result.error.push_back(std::sqrt(variance) * factor);
  }
  return result;
}

namespace {

// The risk of n samples at effective ridge kappa.
LearningPoint risk_at(double n, double kappa, double df, double n2, double bias, double error,
                      double noise_variance) {
  const double growth = n / (n - n2);
  const double risk = growth * (bias + noise_variance) - noise_variance;
  return {n, risk, kappa, df, growth * error, noise_variance * n2 / (n - n2) / risk};
}

}  // namespace

std::vector<LearningPoint> learning_points(const RidgeCurve& curve, const BiasCurve& of,
                                           double noise_variance, std::span<const double> sizes) {
  const auto& [bias, error] = of;
  std::vector<LearningPoint> points;
  for (const double n : sizes) {
    LearningPoint best;
    double least = std::numeric_limits<double>::infinity();
    for (std::size_t p = 0; p < bias.size(); ++p) {
      if (!(curve.df[p] < n)) continue;
      const auto point =
          risk_at(n, curve.kappa[p], curve.df[p], curve.n2[p], bias[p], error[p], noise_variance);
      if (!(point.risk + point.standard_error < least)) continue;
      least = point.risk + point.standard_error;
      best = point;
    }
    points.push_back(best);
  }
  return points;
}

std::vector<LearningPoint> plug_in_curve(std::span<const double> eigenvalues,
                                         const RidgeCurve& curve, const LabelModes& labels,
                                         double noise_variance, std::span<const double> sizes) {
  return learning_points(curve, bias_curve(eigenvalues, curve, labels), noise_variance, sizes);
}

std::vector<LearningPoint> never_stop_curve(std::span<const double> eigenvalues,
                                            const RidgeCurve& curve, const LabelModes& labels,
                                            double noise_variance, std::span<const double> sizes) {
  const auto [bias, error] = bias_curve(eigenvalues, curve, labels);
  const std::size_t last = curve.df.size() - 1;
  const auto modes = static_cast<double>(eigenvalues.size());
  std::vector<LearningPoint> points;
  for (const double n : sizes) {
    if (curve.df[last] < n) {
      LearningPoint end{n, std::numeric_limits<double>::quiet_NaN()};
      // Fewer modes than samples: what is left unfitted can be judged. Else nothing is left.
      if (modes + labels.null_modes < n) {
        end = risk_at(n, curve.kappa[last], curve.df[last], curve.n2[last], bias[last], error[last],
                      noise_variance);
      }
      points.push_back(end);
      continue;
    }
    // Between the curve's points, linear in df.
    const auto after = static_cast<std::size_t>(
        std::lower_bound(curve.df.begin(), curve.df.end(), n) - curve.df.begin());
    const std::size_t before = after > 0 ? after - 1 : 0;
    const double width = curve.df[after] - curve.df[before];
    const double part = width > 0 ? (n - curve.df[before]) / width : 0;
    const auto between = [&](const std::vector<double>& of) {
      return of[before] + part * (of[after] - of[before]);
    };
    points.push_back(risk_at(n, between(curve.kappa), n, between(curve.n2), between(bias),
                             between(error), noise_variance));
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
