// Token-match rule for embedding tables. A sample's gradient with respect to a table has one row
// for every id it contains (an entry); two samples' product is the sum over the ids they share:
//   K_ij = sum over ids v in both of D_i,v . D_j,v
#pragma once

#include <cstdint>

#include "device/kernels/team.hpp"

namespace ntk::device::kernels {

// The entries of one sample: ids ascending, sums (count x width).
template <class Real>
struct SampleEntries {
  const std::int32_t* ids;
  const Real* sums;
  std::int64_t count;
};

// The inner product of two samples, products in the working precision and sums in fp64.
template <class Team, class Real>
NTK_HD double match_samples(Team team, const SampleEntries<Real>& p, const SampleEntries<Real>& q,
                            std::int64_t width) {
  double sum = 0;
  std::int64_t a = 0, b = 0;
  while (a < p.count && b < q.count) {
    if (p.ids[a] < q.ids[b]) {
      ++a;
    } else if (q.ids[b] < p.ids[a]) {
      ++b;
    } else {
      const Real *x = p.sums + a++ * width, *y = q.sums + b++ * width;
      Real product = 0;
      NTK_SIMD_SUM(product)
      for (std::int64_t i = team.rank(); i < width; i += team.size()) product += x[i] * y[i];
      sum += static_cast<double>(product);
    }
  }
  return team.sum(sum);
}

}  // namespace ntk::device::kernels
