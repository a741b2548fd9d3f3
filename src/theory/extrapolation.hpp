// The risk at n0 samples from n0 samples alone: the plug-in curve with every row's own leverage,
// corrected by what the same samples measure of themselves at n0/2 and below.
//
// The plug-in curve reads B(kappa) from training errors over (1 - df/n)^2, the mean leverage. Rows
// of small k(x, x) have less leverage than those of large, and where the targets are not smaller
// there too, their errors are taken for more than they are. Leave-one-out errors, exact for ridge
// regression, take each row by itself:
//   B(kappa) = L(lambda) (1 - N2/n0) - s^2,   L = mean ((y_i - f_i) / (1 - 1/n0 - H_ii))^2,
// so that at n0 the curve is the least L less the noise s^2.
//
// Then parts of the rows are trained on, the others judge by their noisy labels, less the labels'
// known noise. Where the curve is off by a factor that hardly changes with n,
//   R(n0) = P(n0) M(n0/2) / P(n0/2),
// with P the leave-one-out curve from all rows and M the measured one, is not.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "theory/held_out.hpp"
#include "theory/learning_curve.hpp"

namespace ntk::theory {

struct SelfMeasured {
  std::size_t n = 0;
  double risk = 0;            // of the best stop along the path, chosen for all draws together
  double standard_error = 0;  // rows (groups) that judge are the sample
};

// The plug-in curve of a training block, and the same from leave-one-out errors.
struct BothCurves {
  std::vector<LearningPoint> plug_in, leave_one_out;
};
// At `sizes`, from the modes of all rows (held_out_modes), labels and their noise variances.
BothCurves both_curves(const HeldOutModes& modes, std::span<const double> labels,
                       std::span<const double> noise_variances, std::span<const double> sizes);

struct CorrectedRisk {
  std::vector<SelfMeasured> measured;                 // at n0/8, n0/4, n0/2
  std::vector<LearningPoint> plug_in, leave_one_out;  // there and at n0
  double risk = 0;                                    // at n0
  double log_error = 0;                               // standard error of log risk
  double low() const;                                 // of the 95 % interval
  double high() const;
};

// From the row-major (n, n) kernel, the modes of all its rows (held_out_modes), labels and their
// noise variances (n). `group` (n): rows that are never divided between training and judging; empty
// = every row its own. Training rows are drawn by whole groups, or, with `single_rows`, one by one
// from the groups that do not judge. Nothing where the leave-one-out curve or a measured risk is
// not usable, or groups are too large for halves.
//
// log_error adds up, as if independent: the standard error of M(n0/2); that of P(n0), by the
// labels' noise; and the difference between the steps from n0/4 to n0/2 of log M and of log P, as
// what the step from n0/2 to n0 may be off by.
std::optional<CorrectedRisk> corrected_risk(std::span<const double> kernel,
                                            const HeldOutModes& modes,
                                            std::span<const double> labels,
                                            std::span<const double> noise_variances,
                                            std::span<const std::int64_t> group, bool single_rows,
                                            std::uint64_t seed, std::size_t draws = 8);

}  // namespace ntk::theory
