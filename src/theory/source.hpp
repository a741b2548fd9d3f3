// Where the target lies in the kernel's modes: how much of it the leading ones hold, and how fast
// what they do not hold falls. The noise's expected share is taken off every mode by the modes' own
// noise, so all of it is unbiased and single values can be negative.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <vector>

#include "theory/filter.hpp"

namespace ntk::theory {

// T(k)/(1 - k/n) for k = 0 ... modes - 1, y^2: the noise-free power beyond rank k, T(k) = sum_{i >
// k} [(u_i^T y)^2/n - nz_i] + what lies in no mode, over the part of the rows that is left. A
// target spread evenly over all modes has a constant one.
std::vector<double> tail_sums(const LabelModes& labels);

// The last rank k up to which the signal exceeds the noise: the means over ranks (k/2, k] of signal
// and noise are compared for k = 10, 11, ...; 0 where they fail at once.
std::size_t signal_rank(const LabelModes& labels);

// T(k)/(1 - k/n) ~ k^-s over ranks first..last, least squares of the logarithm with weights 1/k: s
// = 2 alpha r (rates.hpp). Nothing with fewer than 5 ranks or where a tail sum is not positive.
struct TailFit {
  double exponent = 0;  // s
  std::size_t first = 0, last = 0;
  double rms = 0;
};
std::optional<TailFit> tail_fit(std::span<const double> tails, std::size_t first, std::size_t last);

// The fits over [5, m/4], [5, m/2] and [m/10, m], m = min(signal_rank, n/5): what they differ by is
// the uncertainty. Empty where m < 40 or a fit is impossible.
std::vector<TailFit> tail_fits(const LabelModes& labels);

// y^T K y / (|K|_F |y|^2) of the centred kernel and labels, noise and all; in [0, 1].
double kernel_target_alignment(std::span<const double> eigenvalues, const LabelModes& labels);

// Share of the noise-free target's power in the first k modes, k = 1 ... modes. Nothing (empty)
// without signal.
std::vector<double> cumulative_power(const LabelModes& labels);

}  // namespace ntk::theory
