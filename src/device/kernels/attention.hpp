// Softmax attention of one head of one sample by one team. Queries and keys are rows of `width`
// numbers of which this head owns `h`; pointers point at the head's first number.
//   p_ij = softmax_j(q_i . k_j / sqrt h),  y_i = sum_j p_ij v_j
//   vjp: dv_j = sum_i p_ij dy_i,  dp_ij = dy_i . v_j,  ds_ij = p_ij (dp_ij - sum_l p_il dp_il),
//        dq_i = sum_j ds_ij k_j / sqrt h,  dk_j = sum_i ds_ij q_i / sqrt h
//   jvp: ds_ij = (dq_i . k_j + q_i . dk_j) / sqrt h,  dp_ij = p_ij (ds_ij - sum_l p_il ds_il),
//        dy_i = sum_j (dp_ij v_j + p_ij dv_j)
// The probabilities are recomputed in the derivative maps: nothing of size T^2 is stored. A team
// goes through the queries one by one and splits keys, or the head's numbers, over its threads.
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

// One row of keys for probabilities and one for their derivatives, and two matrices h x keys.
template <class Real>
struct AttentionScratch {
  double *p, *w;
  Real *first, *second;
};

namespace attention_detail {

// How many of the numbers first, first + step, ... below `end` a thread takes at a time.
template <class Team>
NTK_HD int accumulators(std::int64_t first, std::int64_t step, std::int64_t end) {
  const std::int64_t left = (end - first + step - 1) / step;
  return left < Team::lanes ? static_cast<int>(left) : Team::lanes;
}

// to[e * keys + j] = rows_j[e]: neighbouring keys side by side, for score_row.
template <class Team, class Real>
NTK_HD void transpose(Team team, const Head<Real>& a, const Real* rows, Real* to) {
  for (std::int64_t j = team.rank(); j < a.keys; j += team.size()) {
    for (std::int64_t e = 0; e < a.h; ++e) to[e * a.keys + j] = rows[j * a.width + e];
  }
}

// s[j] (+)= scale * a . b_j for every key j, with b transposed: bt[e * keys + j]. Scores and
// probabilities are fp64: a score's absolute error is the relative error of its probability.
template <class Team, class Real>
NTK_HD void score_row(Team team, const Head<Real>& a, Real scale, const Real* row, const Real* bt,
                      bool accumulate, double* s) {
  const std::int64_t step = team.size();
  for (std::int64_t first = team.rank(); first < a.keys; first += Team::lanes * step) {
    double sum[Team::lanes];
    const int n = accumulators<Team>(first, step, a.keys);
    for (int l = 0; l < n; ++l) sum[l] = accumulate ? s[first + l * step] : 0;
    for (std::int64_t e = 0; e < a.h; ++e) {
      const double factor = static_cast<double>(row[e]) * static_cast<double>(scale);
      const Real* b = bt + e * a.keys + first;
      NTK_SIMD
      for (int l = 0; l < n; ++l) sum[l] += factor * static_cast<double>(b[l * step]);
    }
    for (int l = 0; l < n; ++l) s[first + l * step] = sum[l];
  }
}

template <class Team>
NTK_HD void softmax_row(Team team, std::int64_t n, double* s) {
  double largest = -HUGE_VAL;
  for (std::int64_t j = team.rank(); j < n; j += team.size()) {
    largest = s[j] > largest ? s[j] : largest;
  }
  largest = team.max(largest);
  double sum = 0;
  NTK_SIMD_SUM(sum)
  for (std::int64_t j = team.rank(); j < n; j += team.size()) {
    s[j] = std::exp(s[j] - largest);
    sum += s[j];
  }
  const double inverse = 1.0 / team.sum(sum);
  for (std::int64_t j = team.rank(); j < n; j += team.size()) s[j] *= inverse;
}

// y += sum_j w[j] v_j. Every thread reads all of w: a barrier stands before.
template <class Team, class Real>
NTK_HD void combine_rows(Team team, const Head<Real>& a, const double* w, const Real* v, Real* y) {
  const std::int64_t step = team.size();
  for (std::int64_t first = team.rank(); first < a.h; first += Team::lanes * step) {
    Real sum[Team::lanes];
    const int n = accumulators<Team>(first, step, a.h);
    for (int l = 0; l < n; ++l) sum[l] = y[first + l * step];
    for (std::int64_t j = 0; j < a.keys; ++j) {
      const Real* row = v + j * a.width + first;
      const Real weight = static_cast<Real>(w[j]);
      NTK_SIMD
      for (int l = 0; l < n; ++l) sum[l] += weight * row[l * step];
    }
    for (int l = 0; l < n; ++l) y[first + l * step] = sum[l];
  }
}

// rows_j += w[j] x for every key j; the same.
template <class Team, class Real>
NTK_HD void spread_row(Team team, const Head<Real>& a, const double* w, const Real* x, Real* rows) {
  for (std::int64_t j = 0; j < a.keys; ++j) {
    Real* row = rows + j * a.width;
    const Real weight = static_cast<Real>(w[j]);
    NTK_SIMD
    for (std::int64_t e = team.rank(); e < a.h; e += team.size()) row[e] += weight * x[e];
  }
}

// w_j <- p_j (w_j - sum_l p_l w_l): the softmax's derivative, its own transpose.
template <class Team>
NTK_HD void softmax_derivative_row(Team team, std::int64_t n, const double* p, double* w) {
  double sum = 0;
  NTK_SIMD_SUM(sum)
  for (std::int64_t j = team.rank(); j < n; j += team.size()) sum += p[j] * w[j];
  sum = team.sum(sum);
  NTK_SIMD
  for (std::int64_t j = team.rank(); j < n; j += team.size()) w[j] = p[j] * (w[j] - sum);
}

}  // namespace attention_detail

// y (queries x h) = attention.
template <class Team, class Real>
NTK_HD void attention_head(Team team, const Head<Real>& a, const Real* q, const Real* k,
                           const Real* v, Real* y, const AttentionScratch<Real>& scratch) {
  using namespace attention_detail;
  transpose(team, a, k, scratch.first);
  for (std::int64_t i = 0; i < a.queries; ++i) {
    Real* out = y + i * a.width;
    score_row(team, a, a.scale, q + i * a.width, scratch.first, false, scratch.p);
    softmax_row(team, a.keys, scratch.p);
    for (std::int64_t e = team.rank(); e < a.h; e += team.size()) out[e] = 0;
    team.barrier();
    combine_rows(team, a, scratch.p, v, out);
    team.barrier();  // before the next query's scores
  }
}

// dq, dk, dv += for the cotangents dy of `copies` outputs; `query_rows` and `key_rows` numbers lie
// between the copies of dy and dq, and of dk and dv.
template <class Team, class Real>
NTK_HD void attention_head_backward(Team team, const Head<Real>& a, int copies,
                                    std::int64_t query_rows, std::int64_t key_rows, const Real* q,
                                    const Real* k, const Real* v, const Real* dy, Real* dq,
                                    Real* dk, Real* dv, const AttentionScratch<Real>& scratch) {
  using namespace attention_detail;
  transpose(team, a, k, scratch.first);
  transpose(team, a, v, scratch.second);
  for (std::int64_t i = 0; i < a.queries; ++i) {
    const std::int64_t at = i * a.width;
    score_row(team, a, a.scale, q + at, scratch.first, false, scratch.p);
    softmax_row(team, a.keys, scratch.p);
    team.barrier();
    for (int c = 0; c < copies; ++c) {
      const Real* dyi = dy + c * query_rows + at;
      spread_row(team, a, scratch.p, dyi, dv + c * key_rows);
      score_row(team, a, Real(1), dyi, scratch.second, false, scratch.w);
      softmax_derivative_row(team, a.keys, scratch.p, scratch.w);
      for (std::int64_t j = team.rank(); j < a.keys; j += team.size()) {
        scratch.w[j] *= static_cast<double>(a.scale);
      }
      team.barrier();
      combine_rows(team, a, scratch.w, k, dq + c * query_rows + at);
      spread_row(team, a, scratch.w, q + at, dk + c * key_rows);
      team.barrier();  // before the next scores
    }
  }
}

// dy += the tangent for tangents of queries, keys and values.
template <class Team, class Real>
NTK_HD void attention_head_tangent(Team team, const Head<Real>& a, const Real* q, const Real* k,
                                   const Real* v, const Real* dq, const Real* dk, const Real* dv,
                                   Real* dy, const AttentionScratch<Real>& scratch) {
  using namespace attention_detail;
  transpose(team, a, k, scratch.first);
  transpose(team, a, dk, scratch.second);
  for (std::int64_t i = 0; i < a.queries; ++i) {
    const std::int64_t at = i * a.width;
    score_row(team, a, a.scale, q + at, scratch.first, false, scratch.p);
    softmax_row(team, a.keys, scratch.p);
    score_row(team, a, a.scale, dq + at, scratch.first, false, scratch.w);
    score_row(team, a, a.scale, q + at, scratch.second, true, scratch.w);
    softmax_derivative_row(team, a.keys, scratch.p, scratch.w);
    team.barrier();
    combine_rows(team, a, scratch.w, v, dy + at);
    combine_rows(team, a, scratch.p, dv, dy + at);
    team.barrier();
  }
}

}  // namespace ntk::device::kernels
