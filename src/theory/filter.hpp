// Exact dynamics of gradient descent on the squared loss of a linear(ised) model, and the
// stopping rules that look at training data only.
//
// Everything is expressed in the modes of K/n: eigenvalues l_i (descending), label coefficients
// u_i^T y / sqrt(n). After total step size eta the residual filter is S_i, with
//   f = U (I - S) U^T y,   S_i = exp(-eta l_i) (flow, the limit of (1 - a l_i)^t, t steps of size
//   a),
// and df = sum (1 - S_i). eta has unit 1/l. Labels and errors have the unit of y^2. Every other
// linear smoother fits in: ridge nu has S_i = nu / (l_i + nu).
#pragma once

#include <cstddef>
#include <limits>
#include <span>
#include <vector>

namespace ntk::theory {

constexpr double never_stop = std::numeric_limits<double>::infinity();

// Labels and their noise in the retained modes (as many as eigenvalues in use).
struct LabelModes {
  double n = 0;               // rows
  double null_modes = 0;      // removed by centring: 1 for each output with an intercept, else 0
  std::vector<double> power;  // (u_i^T y)^2 / n
  std::vector<double> noise;  // nz_i = sum_j U_ji^2 v_j / n: expected noise power of mode i
  double outside_power = 0;   // |y|^2/n in no retained mode (rank-deficient kernels)
  double outside_noise = 0;   // expected noise power there
  double total_power() const;
  double total_noise() const;
  double signal() const;  // total power - total noise: mean squared noise-free label
};

// From U^T y (at least `modes` entries), |y|^2 of the centred labels, the noise variance of each
// mode (sum_j U_ji^2 v_j, at least `modes` entries) and the mean variance.
LabelModes label_modes(std::span<const double> projections, double squared_norm,
                       std::span<const double> mode_variances, double mean_variance, double n,
                       double null_modes, std::size_t modes);
// The same labels with uniform noise variance.
LabelModes with_noise(LabelModes labels, double variance);

// Residual filters S_i.
std::vector<double> flow_residual(std::span<const double> eigenvalues, double eta);
std::vector<double> ridge_residual(std::span<const double> eigenvalues, double nu);

double degrees_of_freedom(std::span<const double> residual);

// E|f - f*|_n^2 = sum S_i^2 g_i^2 + sum (1 - S_i)^2 nz_i; g_i^2 = (u_i^T f*)^2 / n.
struct Risk {
  double bias = 0, variance = 0;
  double total() const { return bias + variance; }
};
Risk in_sample_risk(std::span<const double> residual, std::span<const double> signal,
                    std::span<const double> noise, double outside_signal = 0);

// RSS/n.
double training_error(std::span<const double> residual, const LabelModes& labels);
// (RSS/n) / (1 - df/n)^2, the intercepts counted in df.
double gcv_score(std::span<const double> residual, const LabelModes& labels);
// RSS/n + 2 sum (1 - S_i) nz_i: unbiased for risk + noise.
double sure_score(std::span<const double> residual, const LabelModes& labels);

// Ascending geometric grid from 0.01/l_1 to 30/l_min: from the null fit to interpolation.
std::vector<double> eta_grid(std::span<const double> eigenvalues, std::size_t points = 300);

// How many points of an ascending `grid` gradient flow can be judged on by GCV: those whose
// residual still spreads over a tenth of the rows, (sum S)^2 / sum S^2 >= n/10. Beyond, GCV is the
// square of a few noise coefficients and can be arbitrarily small by chance. At least 1.
std::size_t gcv_points(std::span<const double> eigenvalues, const LabelModes& labels,
                       std::span<const double> grid);

// Minimiser of gcv_score (over the points above) and of sure_score for gradient flow.
double gcv_stop(std::span<const double> eigenvalues, const LabelModes& labels,
                std::span<const double> grid);
double sure_stop(std::span<const double> eigenvalues, const LabelModes& labels,
                 std::span<const double> grid);
// First eta with RSS/n <= noise variance (bisection on log eta); 0 when that holds at the start,
// never_stop when it never does.
double discrepancy_stop(std::span<const double> eigenvalues, const LabelModes& labels,
                        double noise_variance);
// The same with modes weighted by l^(1/(alpha + 1)): sum l^a S^2 (u_i y)^2/n <= sum l^a nz_i. For
// eigenvalues k^-alpha it is rate-optimal where the plain principle, whose noise level is that of
// all modes, is not (Averyanov and Celisse, arXiv 2007.06827).
double smoothed_discrepancy_stop(std::span<const double> eigenvalues, const LabelModes& labels,
                                 double alpha);
// RSS/(n - df) at `eta`. Equals the noise variance only when the target lies in the kernel's
// space: unresolved signal counts as noise.
double effective_noise(std::span<const double> eigenvalues, const LabelModes& labels, double eta);

// Squared RKHS norm of the fit at `eta`: sum (1 - S_i)^2 u_i^2 / (n l_i), unit y^2 / l.
double rkhs_norm2(std::span<const double> eigenvalues, const LabelModes& labels, double eta);

}  // namespace ntk::theory
