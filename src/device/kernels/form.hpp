// Forming per-row gradients of a linear site: a rank-T product J = G^T A, register-blocked.
// J has `count` rows of `inputs` numbers; T (tokens of the sample) is short, so that J is written
// once and never read: a BLAS call of this shape reaches a tenth of its rate.
#pragma once

#include <cstdint>

#include "device/kernels/team.hpp"

namespace ntk::device::kernels {

// R outputs x V vectors of inputs kept in registers over all tokens: sum[r][v] = sum over tokens t
// of g[t * ldg + r] * a[t * lda + v * lanes ...]. Lane is a vector of numbers: a processor's on the
// CPU, a few neighbouring numbers of one thread on a GPU. `load` reads one of a, `scalars` the R
// numbers of g.
template <class Lane, int R, int V, class Real, class Load, class Scalars, class Store>
NTK_HD inline void form_block(std::int64_t tokens, const Real* g, std::int64_t ldg, const Real* a,
                              std::int64_t lda, Load load, Scalars scalars, Store store) {
  constexpr int lanes = sizeof(Lane) / sizeof(Real);
  Lane sum[R][V];
  for (int r = 0; r < R; ++r) {
    for (int v = 0; v < V; ++v) sum[r][v] = Lane{};
  }
  for (std::int64_t t = 0; t < tokens; ++t) {
    Lane x[V];
    for (int v = 0; v < V; ++v) x[v] = load(a + t * lda + v * lanes);
    Real y[R];
    scalars(g + t * ldg, y);
    for (int r = 0; r < R; ++r) {
      for (int v = 0; v < V; ++v) sum[r][v] += x[v] * y[r];
    }
  }
  for (int r = 0; r < R; ++r) {
    for (int v = 0; v < V; ++v) store(r, v, sum[r][v]);
  }
}

}  // namespace ntk::device::kernels
