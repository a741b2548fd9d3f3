#include "theory/effective_dimension.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

#include "base/error.hpp"
#include "theory/linear_algebra.hpp"

namespace ntk::theory {

std::size_t positive_modes(std::span<const double> eigenvalues, double relative) {
  if (eigenvalues.empty() || !(eigenvalues[0] > 0)) return 0;
  const double floor = relative * eigenvalues[0];
  const auto end = std::find_if(eigenvalues.begin(), eigenvalues.end(),
                                [floor](double l) { return !(l > floor); });
  return static_cast<std::size_t>(end - eigenvalues.begin());
}

RidgeCurve ridge_curve(std::span<const double> eigenvalues, double n, std::size_t points) {
  ensure(!eigenvalues.empty() && eigenvalues.back() > 0 && points >= 2,
         "a ridge curve of {} eigenvalues on {} points", eigenvalues.size(), points);
  RidgeCurve curve;
  curve.n = n;
  const double first = std::log(100 * eigenvalues.front());
  const double last = std::log(0.05 * eigenvalues.back());
  for (std::size_t p = 0; p < points; ++p) {
    const double lambda =
        std::exp(first + (last - first) * static_cast<double>(p) / static_cast<double>(points - 1));
    double df = 0, slope = 0;  // slope = -d df / d log lambda
    for (const double l : eigenvalues) {
      const double shrink = l / (l + lambda);
      df += shrink;
      slope += shrink * lambda / (l + lambda);
    }
    const double left = 1 - df / n;
    const double stretch = 1 - slope / n / left;  // d log kappa / d log lambda
    curve.lambda.push_back(lambda);
    curve.df.push_back(df);
    curve.kappa.push_back(lambda / left);
    // With more modes than rows allow, `stretch` can only vanish at lambda -> 0.
    curve.n2.push_back(stretch > 0 ? std::max(0.0, df - slope / stretch) : 0.0);
  }
  return curve;
}

std::optional<DecayFit> kappa_decay(const RidgeCurve& curve, double low, double high,
                                    std::size_t least) {
  if (!(high >= 2 * low) || curve.df.back() < high) return std::nullopt;
  std::vector<double> x, y;
  for (std::size_t p = 0; p < curve.df.size(); ++p) {
    if (curve.df[p] < low || curve.df[p] > high) continue;
    x.push_back(std::log(curve.kappa[p]));
    y.push_back(std::log(curve.df[p]));
  }
  if (x.size() < least) return std::nullopt;
  const Line line = fit_line(x, y, std::vector<double>(x.size(), 1.0));
  if (!(line.slope < 0)) return std::nullopt;
  const double alpha = -1 / line.slope, part = std::numbers::pi / alpha;
  const double scale = alpha > 1 ? std::pow(std::exp(line.intercept) * std::sin(part) / part, alpha)
                                 : std::numeric_limits<double>::quiet_NaN();
  return DecayFit{alpha, low, high, x.size(), line.rms, scale};
}

KappaWindows kappa_windows(const RidgeCurve& curve, double most) {
  const double n = curve.n;
  return {kappa_decay(curve, 5, most * n), kappa_decay(curve, 5, std::min(0.1, most) * n),
          kappa_decay(curve, std::max(5.0, 0.1 * n), most * n)};
}

}  // namespace ntk::theory
