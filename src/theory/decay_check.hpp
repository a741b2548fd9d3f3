// Whether data drawn from a law of decay would look like the kernel: the parametric bootstrap that
// judges the fits of decay_models.hpp. A small residual does not: on real kernels laws that miss
// the first eigenvalue by a factor of five fit the effective dimension within some per cent.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "theory/decay_models.hpp"

namespace ntk::theory {

// What spectra are compared by: the first eigenvalue (first = last = 1), and the rank_decay of
// windows of ranks.
struct RankStatistic {
  std::size_t first = 1, last = 1;
  double value = 0;
  std::string name() const;  // "l_1", "slope [5, 50]"
};
// l_1, and the slopes over [5, 50] and [100, 500], of [n/10, n/2] in place of the latter where n <
// 1000, as far as the eigenvalues fill them. Eigenvalues of K/n, centred, positive, descending.
std::vector<RankStatistic> rank_statistics(std::span<const double> eigenvalues, std::size_t n);

// Eigenvalues, descending, of the centred K/n where the kernel is that of n rows of independent
// Gaussian features with the model's variances: 4n features, and the rest of the trace as its mean
// on the diagonal. The constant mode is left out.
std::vector<double> draw_spectrum(const DecayModel& model, std::size_t n, std::uint64_t seed);

struct CheckedStatistic {
  RankStatistic observed;
  double low = 0, high = 0;  // the least and the most of the draws
  bool inside() const { return low <= observed.value && observed.value <= high; }
};
struct LawCheck {
  DecayModel model;
  double extrapolation_rms = 0;  // of log N1 over df in (0.3 n, 0.5 n], fitted below; NaN: no fit
  std::size_t draws = 0;
  std::vector<CheckedStatistic> statistics;
  bool accepted() const;  // drawn from, and all inside
};

// With 39 draws a statistic of a true law is outside one time in 20.
inline constexpr std::size_t law_draws = 39;
// A law from whose first draws a statistic is so many standard deviations away is not drawn on.
inline constexpr std::size_t first_draws = 8;
inline constexpr double far_away = 8;

// Fits every law to the centred kernel whose positive eigenvalues (of K/n, n rows) are given, and
// draws from those whose residual is at most `worst_rms` until one is accepted: from the power law
// first, whose plateau is the question, then in order of their residuals. Those not drawn from are
// not accepted. Draw d takes seed + d.
std::vector<LawCheck> check_laws(std::span<const double> eigenvalues, std::size_t n,
                                 std::uint64_t seed, std::size_t draws = law_draws,
                                 double worst_rms = 0.1);

}  // namespace ntk::theory
