// Laws of decay fitted to the effective dimension of a population, N1(kappa) = sum_k L_k / (L_k +
// kappa), as effective_dimension.hpp reads it from a kernel.
//
// Fitting N1 and not the eigenvalues of the sample spares a fit the bias of ranks: what the laws
// describe is the population. A small residual is no proof that a law holds; decay_check.hpp asks
// whether data drawn from it would look like these.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "theory/effective_dimension.hpp"

namespace ntk::theory {

// L(k), k = 1, 2, ...; scale A, parameters in this order.
enum class DecayLaw {
  power,        // A k^-alpha                                             {A, alpha}
  shifted,      // A (k + s)^-alpha                                       {A, alpha, s}
  broken,       // A k^-alpha up to k0, steeper or flatter beyond         {A, alpha, alpha_2, k0}
  stretched,    // A exp(-s (k^g - 1)/g)                                  {A, s, g}
  cut_off,      // A k^-alpha exp(-k/k0)                                  {A, alpha, k0}
  exponential,  // A exp(-c (k - 1))                                      {A, c}
  finite_rank,  // A k^-alpha up to k = m, nothing beyond                 {A, alpha, m}
};
std::string law_name(DecayLaw law);                     // "power", ..., "finite rank"
std::vector<std::string> law_parameters(DecayLaw law);  // names, as above
std::span<const DecayLaw> all_laws();

struct DecayModel {
  DecayLaw law = DecayLaw::power;
  std::vector<double> parameters;
  double rms = 0;            // residual of log N1
  double low = 0, high = 0;  // the window in df
};

// L_k of a model; k need not be whole.
double model_eigenvalue(const DecayModel& model, double k);

// sum over k > first of L_k.
double model_tail(const DecayModel& model, double first);

// N1(kappa) of a model. Sums are exact for the leading ranks and integrals beyond, to about 1e-5.
double model_dimension(const DecayModel& model, double kappa);

// Least squares (Levenberg and Marquardt) of log N1 on points uniform in log kappa with low <= df
// <= high. Exponents of tails are kept above 1: a population has a trace. Nothing when fewer than
// 10 points of the curve lie in the window.
std::optional<DecayModel> fit_law(const RidgeCurve& curve, DecayLaw law, double low, double high);

// Every law over df in [5, n/2], least residual first.
std::vector<DecayModel> fit_laws(const RidgeCurve& curve);

}  // namespace ntk::theory
