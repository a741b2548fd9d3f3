// Eigenvalue decay read from ranks: cross-checks of the exponent of effective_dimension.hpp and
// the first-cut kind of decay. Eigenvalues are those of K/n, descending; rank k counts from 1.
//
// Ranks are biased at finite n: the top is inflated, the tail deflated (or lifted by the unresolved
// part when alpha is near 1), so a straight line through all ranks can be wrong by tens of per
// cent. Weights 1/k make every octave count alike.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "theory/effective_dimension.hpp"

namespace ntk::theory {

enum class RankWeights { equal, inverse_rank };

// alpha = -slope of log l_k on log k over ranks first..last (clipped to positive eigenvalues).
// Nothing when fewer than 5 ranks are left.
std::optional<DecayFit> rank_decay(std::span<const double> eigenvalues, std::size_t first,
                                   std::size_t last,
                                   RankWeights weights = RankWeights::inverse_rank);

// -d log l / d log k by a weighted line over each of the windows [5, 50], [5, 100], [20, 200],
// [100, 500] that fits into the ranks above `floor`.
std::vector<DecayFit> local_slopes(std::span<const double> eigenvalues, double floor);

// log l_k = c - s (k^g - 1)/g with weights 1/k: g = 0 polynomial (s = alpha), g = 1 exponential,
// between them stretched exponential. g is scanned over [-1, 2.5].
struct StretchedFit {
  double g = 0, s = 0, c = 0;
  std::size_t first = 0, last = 0;  // ranks
  double rms = 0;
};
std::optional<StretchedFit> stretched_fit(std::span<const double> eigenvalues, std::size_t first,
                                          std::size_t last);

// The smallest m with l_m / max(l_{m+1}, floor) > gap and nothing but noise behind it, l_{m+1} <=
// 10 floor: the kernel's rank for every practical purpose. `null_modes` eigenvalues at the end are
// zero by centring and do not count. Nothing when there is no such gap.
std::optional<std::size_t> finite_rank(std::span<const double> eigenvalues, double floor,
                                       std::size_t null_modes, double gap = 1e3);

// "finite rank", "polynomial" (|g| < 0.1 in every window), "exponential or faster" (g > 0.8),
// "stretched or other", or "undetermined" when too few ranks stand above the floor.
struct DecayVerdict {
  std::string kind;
  std::optional<std::size_t> rank;    // with "finite rank"
  std::vector<StretchedFit> windows;  // ranks 5 to 0.1, 0.2 and 0.5 n, each cut at the floor
};
// Of the leading eigenvalues of `rows` rows; 0: all of them are given. Windows end with those
// given.
DecayVerdict classify_decay(std::span<const double> eigenvalues, double floor,
                            std::size_t null_modes, std::size_t rows = 0);

}  // namespace ntk::theory
