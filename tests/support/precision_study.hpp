// How exact a contraction in a reduced precision is, on gradients like real ones: measured against
// fp64, beside the bounds that docs/numerics.md ("Precisions") derives.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "device/precision.hpp"
#include "support/truncating_product.hpp"

namespace ntk::test {

// Gradients of a linear map: rank-T sums G^T A over the tokens of each sample, formed in fp32.
struct StudiedMap {
  std::int64_t inputs, outputs;
  std::int64_t columns;  // of the inputs * outputs, from the first on
  std::int64_t samples;
  unsigned seed = 1;
};

// An entry's error is that of K_ij against sqrt(K_ii K_jj).
struct PrecisionErrors {
  device::Precision precision;
  double rms, max, bias;    // bias: mean relative error of diagonal entries
  double least_eigenvalue;  // over the roundoff times the largest one
};

// What a precision may lose at most with the GPU's chunk (jacobian/settings.hpp): by its operands
// and the products it leaves out, and by its sums.
double operand_bound(device::Precision precision);
double accumulation_bound(device::Precision precision, const TensorCore& core);
inline double entry_bound(device::Precision precision, const TensorCore& core) {
  return operand_bound(precision) + accumulation_bound(precision, core);
}
// What a diagonal entry may lose where columns come in no order of size.
double bias_bound(device::Precision precision, const TensorCore& core);

// fp32 as a GPU sums it, rounded to nearest, and then each of `precisions` emulated.
std::vector<PrecisionErrors> study(const StudiedMap& map, const TensorCore& core,
                                   const std::vector<device::Precision>& precisions, int threads);

}  // namespace ntk::test
