// Forming per-row gradients of a linear site: a rank-T product J = G^T A, register-blocked.
// J has `count` rows of `inputs` numbers; T (tokens of the sample) is short, so that J is written
// once and never read: a BLAS call of this shape reaches a tenth of its rate.
#pragma once

#include <cstdint>

#include "device/kernels/vector.hpp"

namespace ntk::device::kernels {

// R outputs x V vectors of inputs kept in registers over all tokens.
template <class Real, int R, int V>
inline void form_block(std::int64_t tokens, const Real* g, std::int64_t ldg, const Real* a,
                       std::int64_t lda, Real* j, std::int64_t inputs) {
  using Lane = typename Vector<Real>::type;
  constexpr int lanes = Vector<Real>::lanes;
  Lane sum[R][V];
  for (int r = 0; r < R; ++r) {
    for (int v = 0; v < V; ++v) sum[r][v] = Lane{};
  }
  for (std::int64_t t = 0; t < tokens; ++t) {
    Lane x[V];
    for (int v = 0; v < V; ++v) x[v] = *reinterpret_cast<const Lane*>(a + t * lda + v * lanes);
    for (int r = 0; r < R; ++r) {
      const Real scalar = g[t * ldg + r];
      for (int v = 0; v < V; ++v) sum[r][v] += x[v] * scalar;
    }
  }
  for (int r = 0; r < R; ++r) {
    for (int v = 0; v < V; ++v) {
      *reinterpret_cast<Lane*>(j + r * inputs + v * lanes) = sum[r][v];
    }
  }
}

template <class Real, int R>
inline void form_rows(std::int64_t tokens, const Real* g, std::int64_t ldg, const Real* a,
                      std::int64_t inputs, Real* j) {
  constexpr int lanes = Vector<Real>::lanes, wide = vector_registers / 8;
  std::int64_t i = 0;
  for (; i + wide * lanes <= inputs; i += wide * lanes) {
    form_block<Real, R, wide>(tokens, g, ldg, a + i, inputs, j + i, inputs);
  }
  for (; i + lanes <= inputs; i += lanes) {
    form_block<Real, R, 1>(tokens, g, ldg, a + i, inputs, j + i, inputs);
  }
  for (; i < inputs; ++i) {
    for (int r = 0; r < R; ++r) {
      Real sum = 0;
      for (std::int64_t t = 0; t < tokens; ++t) sum += g[t * ldg + r] * a[t * inputs + i];
      j[r * inputs + i] = sum;
    }
  }
}

// j (count x inputs) = G^T A with G (tokens x ldg, `count` columns used), A (tokens x inputs).
template <class Real>
inline void form_sample(std::int64_t tokens, std::int64_t count, const Real* g, std::int64_t ldg,
                        const Real* a, std::int64_t inputs, Real* j) {
  std::int64_t o = 0;
  for (; o + 4 <= count; o += 4) form_rows<Real, 4>(tokens, g + o, ldg, a, inputs, j + o * inputs);
  for (; o < count; ++o) form_rows<Real, 1>(tokens, g + o, ldg, a, inputs, j + o * inputs);
}

}  // namespace ntk::device::kernels
