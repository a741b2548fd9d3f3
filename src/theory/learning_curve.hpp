// The plug-in learning curve: the excess risk that the best ridge (and, within a fraction of a per
// cent, the best stopping time) is predicted to reach with n samples, from one centred kernel of n0
// samples and one noisy label a row. No power law is assumed.
//
// For a ridge lambda the noise-free training error is estimated without bias, turned into the
// bias of the population problem at the effective ridge kappa, and from there into the risk at any
// sample size by the deterministic equivalent of ridge regression:
//   tr(lambda) = sum_i (lambda/(l_i + lambda))^2 [ (u_i^T y)^2/n0 - nz_i ] + outside,
//   B(kappa)   = tr / (1 - df/n0)^2 (1 - N2/n0),
//   E(n)       = min over kappa with N1 < n of n/(n - N2) (B + sigma^2) - sigma^2.
// The labels' noise makes B uncertain by about sigma^2 sqrt(2/n0), more where kappa is so small
// that little of the labels is left to judge by: its standard error is reported, and added while
// the minimum is looked for (not to the value), so that no kappa is chosen for its noise.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "theory/effective_dimension.hpp"
#include "theory/filter.hpp"

namespace ntk::theory {

struct LearningPoint {
  double n = 0;
  double risk = 0;   // excess risk, y^2
  double kappa = 0;  // where the minimum lies
  double df = 0;
  double standard_error = 0;  // of the risk, by label noise alone
  double noise_share = 0;  // part of the risk that label noise makes, N2 sigma^2 / (n - N2) / risk
  // Whether the number means something: positive and at least twice its standard error.
  bool usable() const { return risk > 2 * standard_error && risk > 0; }
};

// One point for each of `sizes` (rows of the kernel, i.e. samples times outputs). Eigenvalues:
// the positive modes that `curve` was made from.
std::vector<LearningPoint> plug_in_curve(std::span<const double> eigenvalues,
                                         const RidgeCurve& curve, const LabelModes& labels,
                                         double noise_variance, std::span<const double> sizes);

// B(kappa), the part of the risk that is not variance, at every point of a ridge curve, with its
// standard error by the labels' noise. From the training errors over (1 - df/n)^2, which takes all
// rows for alike.
struct BiasCurve {
  std::vector<double> bias, error;
};
BiasCurve bias_curve(std::span<const double> eigenvalues, const RidgeCurve& curve,
                     const LabelModes& labels);

// plug_in_curve from any B(kappa).
std::vector<LearningPoint> learning_points(const RidgeCurve& curve, const BiasCurve& bias,
                                           double noise_variance, std::span<const double> sizes);

// The excess risk at each of `sizes` without stopping (or ridge): where the labels are interpolated
// or, in a kernel with fewer modes than n, fitted as well as it can. The same formula at ridge ->
// 0, i.e. at the kappa with N1(kappa) = n, or at the least kappa of the curve where all modes give
// less than n (Bordelon, Canatar and Pehlevan, arXiv 2002.02561; Hastie, Montanari, Rosset and
// Tibshirani, arXiv 1903.08560). Not usable at n near the kernel's own rows: there are no labels
// left to judge by. The errors of B at one kappa, not the choice of it, make the standard error.
std::vector<LearningPoint> never_stop_curve(std::span<const double> eigenvalues,
                                            const RidgeCurve& curve, const LabelModes& labels,
                                            double noise_variance, std::span<const double> sizes);

// Slope of log risk on log n by least squares. NaN unless every point is usable.
double learning_slope(std::span<const LearningPoint> curve);

}  // namespace ntk::theory
