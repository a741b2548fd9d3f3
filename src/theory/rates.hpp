// Exponents of the excess risk in n from those of the spectrum and of the target.
//
// Eigenvalues k^-alpha; power of the target in mode k ~ k^-(1 + 2 alpha r), r its source exponent
// (in the RKHS from r = 1/2 on). So what lies beyond rank k falls as k^-s, s = 2 alpha r: the tail
// exponent, which can be read off without alpha. Rates: Caponnetto and De Vito (2007) and Cui,
// Loureiro, Krzakala and Zdeborova (arXiv 2105.15004) for ridge regression, whose bias saturates at
// r = 1; gradient descent does not saturate (Yao, Rosasco and Caponnetto 2007).
#pragma once

namespace ntk::theory {

// Labels with noise, each method stopped at its best: -s/(s + 1).
double noisy_exponent(double tail);
// Noise that does not matter yet: -s.
double noise_free_exponent(double tail);

// The tail exponent that ridge regression can use: min(s, 2 alpha), r at most 1.
double ridge_tail(double tail, double alpha);

// Worst case over the unit ball of the RKHS (r = 1/2), with noise: -alpha/(alpha + 1).
double worst_case_exponent(double alpha);

}  // namespace ntk::theory
