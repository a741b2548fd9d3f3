// The Raskutti-Wainwright-Yu stopping time in closed form, where the eigenvalues of K/n follow a
// law. With b = n R^2 / (4 e^2 sigma^2) the rule (stopping.hpp) ends where eta^2 sum_k min(l_k,
// 1/eta) = b; sums over ranks are taken as integrals without end. So rwy_stop differs by a per cent
// where ten ranks and more, but few of all, lie above 1/eta, and by more elsewhere: a spectrum of n
// rows has no tail beyond n, which for alpha near 1 is much of it. A law that the kernel does not
// follow gives a number that is off by whatever the law is off.
#pragma once

#include <optional>

namespace ntk::theory {

// What all closed forms need: n, noise variance (y^2) and squared norm (y^2 / l), all positive.
struct StopScale {
  double n = 0, noise_variance = 0, norm2 = 0;
  double bound() const;  // b
};

// l_k = A k^-alpha: eta = [b (alpha - 1) / (alpha A^{1/alpha})]^{alpha/(alpha+1)}, unit 1/l.
// Nothing unless alpha > 1 (a finite trace) and A > 0, or where eta < 1/l_1.
std::optional<double> power_law_stop(double scale, double alpha, const StopScale& of);

// Rank m with smallest eigenvalue `last`: eta = b / m. Nothing where 1/eta >= last.
std::optional<double> finite_rank_stop(double rank, double last, const StopScale& of);

// l_k = A exp(-c k), c > 0: eta = b c / (ln(A eta) + 1). Nothing where eta < 1/l_1.
std::optional<double> exponential_stop(double scale, double decay, const StopScale& of);

}  // namespace ntk::theory
