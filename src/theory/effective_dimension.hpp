// Effective dimension of a kernel and the decay exponent read from it.
//
// Eigenvalues are always those of K/n in descending order. For a ridge lambda,
//   df(lambda) = sum_i l_i / (l_i + lambda),   kappa = lambda / (1 - df/n):
// by the deterministic equivalent of random matrix theory df(lambda) is close to the population's
// effective dimension N1(kappa) = sum_j L_j / (L_j + kappa). N2 = N1 + dN1/dlog(kappa) is close to
// sum_j (L_j / (L_j + kappa))^2.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <vector>

namespace ntk::theory {

// Modes that count as non-zero: the leading ones with l_i > relative * l_1.
std::size_t positive_modes(std::span<const double> eigenvalues, double relative = 1e-9);

struct RidgeCurve {
  double n = 0;                // rows of the kernel
  std::vector<double> lambda;  // descending
  std::vector<double> df;      // = N1(kappa), ascending
  std::vector<double> kappa;
  std::vector<double> n2;  // N2(kappa), at least 0
};

// The curve on `points` ridges, log-uniform from 100 l_1 to 0.05 l_min, over the positive
// eigenvalues given (all of them enter the sums, so pass positive modes only, at least one).
RidgeCurve ridge_curve(std::span<const double> eigenvalues, double n, std::size_t points = 400);

// A decay exponent: l_k ~ k^-alpha.
struct DecayFit {
  double alpha = 0;
  double low = 0, high = 0;  // the window: df or ranks
  std::size_t points = 0;
  double rms = 0;    // rms residual of the logarithm
  double scale = 0;  // A of l_k = A k^-alpha; NaN where the fit does not tell
};

// alpha = -1/slope of log df on log kappa over low <= df <= high (unweighted least squares).
// Nothing when the window holds fewer than `least` points or is narrower than a factor 2. The scale
// is that of the power law's df = (A/kappa)^{1/alpha} (pi/alpha) / sin(pi/alpha).
// It cannot return alpha < 1: it assumes a trace-class kernel and is no evidence for one.
std::optional<DecayFit> kappa_decay(const RidgeCurve& curve, double low, double high,
                                    std::size_t least = 10);

// The three windows of every report: df in [5, n/2], [5, n/10], [n/10, n/2], cut at df = `most` n.
// Their drift, not a standard error, is the uncertainty.
struct KappaWindows {
  std::optional<DecayFit> full, low, high;
};
KappaWindows kappa_windows(const RidgeCurve& curve, double most = 0.5);

}  // namespace ntk::theory
