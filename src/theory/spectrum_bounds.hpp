// Bounds on what theory says from a partial spectrum (partial_spectrum.hpp): the sums of
// effective_dimension.hpp, filter.hpp, learning_curve.hpp and stopping.hpp, whose estimates come
// from those functions on the completed spectrum. They hold whatever the tail is, up to rounding.
#pragma once

#include <span>
#include <vector>

#include "theory/effective_dimension.hpp"
#include "theory/filter.hpp"
#include "theory/partial_spectrum.hpp"

namespace ntk::theory {

class SpectrumBounds {
 public:
  // Eigenvalues of K/n that were computed, descending and positive; `tail` has the others, those
  // that centring makes zero left out. n rows.
  SpectrumBounds(std::vector<double> leading, const TailMoments& tail, double n);

  const std::vector<double>& leading() const { return leading_; }
  const TailMoments& tail() const { return tail_; }
  double n() const { return n_; }

  Interval ridge_df(double lambda) const;  // N1
  Interval ridge_n2(double lambda) const;
  Interval flow_df(double eta) const;
  Interval capped_sum(double cap) const;  // sum min(l, cap)

 private:
  std::vector<double> leading_;
  TailMoments tail_;
  double n_;
};

// The part of `curve`, made from the completed spectrum, whose df is known within `widest`.
RidgeCurve known_part(RidgeCurve curve, const SpectrumBounds& bounds, double widest = widest_error);

// Bound on the error of kappa_decay's alpha, to first order in the widths: the least-squares slope
// when every df of the window is off by as much as it can be, each in its worst direction.
double alpha_error(const RidgeCurve& curve, const SpectrumBounds& bounds, const DecayFit& fit);

// Labels and noise on the same modes: the leading parts of `labels`, moments of the rest.
class LabelBounds {
 public:
  LabelBounds(const SpectrumBounds& spectrum, const LabelModes& labels, const TailMoments& power,
              const TailMoments& noise);

  // Of gradient flow at eta.
  Interval training_error(double eta) const;
  Interval gcv(double eta) const;
  Interval sure(double eta) const;
  Interval effective_noise(double eta) const;
  Interval norm2(double eta) const;
  Interval bias(double eta) const;      // sum S^2 (power - noise)
  Interval variance(double eta) const;  // sum (1 - S)^2 noise

  // Of the plug-in risk at `size` rows under ridge lambda.
  Interval plug_in_risk(double lambda, double size, double noise_variance) const;

 private:
  template <class Filter>
  Interval filtered(std::span<const double> leading, const TailMoments& tail, Filter g) const;
  Interval freedom(double eta) const;  // n - df, intercepts counted in df

  const SpectrumBounds* spectrum_;
  double null_modes_;
  std::vector<double> power_, noise_;  // of the leading modes
  TailMoments power_tail_, noise_tail_;
};

}  // namespace ntk::theory
