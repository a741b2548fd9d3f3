// The end of structured contraction. With aa = A_i A^T and gg = G_i G^T (tokens of sample i x all
// tokens of a block's other side), the kernel's entries are
//   K_ij = sum over tokens t of i and s of j of aa[t, s] gg[t, s],
// in fp64: first over t for every s, then over the s of each sample j.
#pragma once

#include <cstdint>

#include "device/kernels/team.hpp"

namespace ntk::device::kernels {

// w[s] += sum over t of aa[t, s] gg[t, s] for `columns` columns s.
template <class Real>
NTK_HD void multiply_sum_columns(std::int64_t tokens, std::int64_t columns, std::int64_t ld,
                                 const Real* aa, const Real* gg, double* w) {
  for (std::int64_t t = 0; t < tokens; ++t) {
    const Real *a = aa + t * ld, *g = gg + t * ld;
    NTK_SIMD
    for (std::int64_t s = 0; s < columns; ++s) {
      w[s] += static_cast<double>(a[s]) * static_cast<double>(g[s]);
    }
  }
}

// The sum over the columns [first, last) of one sample.
NTK_HD inline double sum_columns(const double* w, std::int64_t first, std::int64_t last) {
  double sum = 0;
  for (std::int64_t s = first; s < last; ++s) sum += w[s];
  return sum;
}

}  // namespace ntk::device::kernels
