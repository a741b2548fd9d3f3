// The early-stopping rule of Raskutti, Wainwright and Yu (JMLR 15, 2014) in its scale-correct form.
//
// With l_i the eigenvalues of K/n, noise variance sigma^2 and squared RKHS norm R^2 of f* - f_0,
// gradient descent stops at the total step size eta_T, the last eta with
//   sum_i min(l_i, 1/eta) <= n R^2 / (4 e^2 sigma^2 eta^2),      e = 2.718...
// The factor R^2 (absent for functions of unit norm) makes the rule independent of the scale of K:
// K -> sK, R^2 -> R^2/s, eta -> eta/s. The critical radius is e_n^2 = 1/eta_T and the rule's bound
// on |f_T - f*|_n^2 is 12 R^2 e_n^2.
#pragma once

#include <span>

namespace ntk::theory {

// eta_T (unit 1/l) by bisection. Eigenvalues non-negative, at least one positive; n,
// noise_variance and norm2 positive.
double rwy_stop(std::span<const double> eigenvalues, double n, double noise_variance, double norm2);

// R^2 e_n^2 in units of y^2: smallest radius e with [sum_i min(l_i, e^2)/n]^{1/2} <=
// e^2 R / (2 e sigma), squared, times R^2. Report it with the bound's factor 12, never e_n^2 alone.
double critical_radius2(std::span<const double> eigenvalues, double n, double noise_variance,
                        double norm2);

}  // namespace ntk::theory
