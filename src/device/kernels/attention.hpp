// Softmax attention of one head of one sample by one team. Queries and keys are rows of `width`
// numbers of which this head owns `h`; pointers point at the head's first number.
//   p_ij = softmax_j(q_i . k_j / sqrt h),  y_i = sum_j p_ij v_j
//   vjp: dv_j = sum_i p_ij dy_i,  dp_ij = dy_i . v_j,  ds_ij = p_ij (dp_ij - sum_l p_il dp_il),
//        dq_i = sum_j ds_ij k_j / sqrt h,  dk_j = sum_i ds_ij q_i / sqrt h
//   jvp: ds_ij = (dq_i . k_j + q_i . dk_j) / sqrt h,  dp_ij = p_ij (ds_ij - sum_l p_il ds_il),
//        dy_i = sum_j (dp_ij v_j + p_ij dv_j)
// The probabilities are recomputed in the derivative maps: nothing of size T^2 is stored. Scratch
// holds one or two rows of keys. A team splits the elements of the innermost loops.
#pragma once

#include <cmath>
#include <cstdint>

#include "device/kernels/team.hpp"
#include "device/kernels/vector_math.hpp"

namespace ntk::device::kernels {

template <class Real>
struct Head {
  std::int64_t queries, keys, h, width;
  Real scale;  // 1 / sqrt(h)
};

// s[j] (+)= scale * a . b_j for every key j, with b transposed: bt[e * keys + j]. Scores and
// probabilities are fp64: a score's absolute error is the relative error of its probability.
template <class Team, class Real>
NTK_HD void score_row(Team team, const Head<Real>& a, const Real* row, const Real* bt,
                      bool accumulate, double* s) {
  for (std::int64_t j = team.rank(); j < a.keys && !accumulate; j += team.size()) s[j] = 0;
  for (std::int64_t e = 0; e < a.h; ++e) {
    const double factor = static_cast<double>(row[e]) * static_cast<double>(a.scale);
    const Real* b = bt + e * a.keys;
#pragma omp simd
    for (std::int64_t j = team.rank(); j < a.keys; j += team.size())
      s[j] += factor * static_cast<double>(b[j]);
  }
}

template <class Team>
NTK_HD void softmax_row(Team team, std::int64_t n, double* s) {
  double largest = s[0];
  for (std::int64_t j = team.rank(); j < n; j += team.size()) {
    largest = s[j] > largest ? s[j] : largest;
  }
  largest = team.max(largest);
  double sum = 0;
#pragma omp simd reduction(+ : sum)
  for (std::int64_t j = team.rank(); j < n; j += team.size()) {
    s[j] = std::exp(s[j] - largest);
    sum += s[j];
  }
  const double inverse = 1.0 / team.sum(sum);
  for (std::int64_t j = team.rank(); j < n; j += team.size()) s[j] *= inverse;
}

// y += sum_j w[j] v_j
template <class Team, class Real>
NTK_HD void combine_rows(Team team, const Head<Real>& a, const double* w, const Real* v, Real* y) {
  for (std::int64_t j = 0; j < a.keys; ++j) {
    const Real* row = v + j * a.width;
    const Real weight = static_cast<Real>(w[j]);
#pragma omp simd
    for (std::int64_t e = team.rank(); e < a.h; e += team.size()) y[e] += weight * row[e];
  }
}

// rows_j += w[j] x for every key j
template <class Team, class Real>
NTK_HD void spread_row(Team team, const Head<Real>& a, const double* w, const Real* x, Real* rows) {
  for (std::int64_t j = 0; j < a.keys; ++j) {
    Real* row = rows + j * a.width;
    const Real weight = static_cast<Real>(w[j]);
#pragma omp simd
    for (std::int64_t e = team.rank(); e < a.h; e += team.size()) row[e] += weight * x[e];
  }
}

// w_j <- p_j (w_j - sum_l p_l w_l): the softmax's derivative, its own transpose.
template <class Team>
NTK_HD void softmax_derivative_row(Team team, std::int64_t n, const double* p, double* w) {
  double sum = 0;
#pragma omp simd reduction(+ : sum)
  for (std::int64_t j = team.rank(); j < n; j += team.size()) sum += p[j] * w[j];
  sum = team.sum(sum);
#pragma omp simd
  for (std::int64_t j = team.rank(); j < n; j += team.size()) w[j] = p[j] * (w[j] - sum);
}

}  // namespace ntk::device::kernels
