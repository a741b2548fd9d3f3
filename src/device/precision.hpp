// Kinds of devices, and the named precisions of a contraction. Forward and backward passes run in
// fp32 (fp64 under fp64).
#pragma once

#include <array>
#include <cstddef>
#include <string_view>

namespace ntk::device {

enum class Kind { cpu, cuda };

enum class Precision { fp64, fp32, tf32, bf16x2, bf16x3 };

struct PrecisionFacts {
  Precision precision;
  std::string_view name;
  double roundoff;    // of an operand, as it enters a product
  int terms;          // numbers an operand is split into
  int operand_bytes;  // of a stored operand (kernels/operand.hpp)
  int products;       // products of terms that are made
  // Columns whose products of leading terms are one sum of the hardware; 0 = a chunk. Tensor cores
  // cut sums towards zero, which over a chunk costs more than bf16x3 may lose: its pieces are added
  // rounded to nearest (docs/numerics.md, "Precisions").
  int leading_columns;
  bool tensor_cores;  // needs hardware that a CPU lacks
};

inline constexpr std::array<PrecisionFacts, 5> precisions = {
    {{Precision::fp64, "fp64", 0x1p-53, 1, 8, 1, 0, false},
     {Precision::fp32, "fp32", 0x1p-24, 1, 4, 1, 0, false},
     {Precision::tf32, "tf32", 0x1p-11, 1, 4, 1, 0, true},
     {Precision::bf16x2, "bf16x2", 0x1p-16, 2, 6, 3, 0, true},
     {Precision::bf16x3, "bf16x3", 0x1p-24, 3, 10, 6, 192, true}}};

constexpr const PrecisionFacts& facts(Precision precision) {
  return precisions[static_cast<std::size_t>(precision)];
}

// The facts of a precision's name, which the job file has checked.
constexpr const PrecisionFacts& facts(std::string_view name) {
  for (const auto& p : precisions) {
    if (p.name == name) return p;
  }
  return precisions[1];
}

}  // namespace ntk::device
