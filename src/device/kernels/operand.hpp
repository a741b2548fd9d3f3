// Operands of a contraction in the form in which they are multiplied (docs/numerics.md,
// "Precisions").
//   fp64, fp32  the numbers themselves
//   tf32        rounded to 11 significant bits, in 32
//   bf16xN      N terms of 8 significant bits: x = x1 + x2 + ... , each the rest of the ones before
// A row of split numbers is laid out by chunks of columns; a chunk of w columns is 2 N - 1 runs of
// w terms: xN ... x2 x1 x2 ... xN. So the products of order o (terms a and b with a + b = o + 2)
// are one contiguous product of o + 1 runs of each side: for N = 3 and o = 2 of [a3 a2 a1] and [b1
// b2 b3] (`for_each_term_product`).
#pragma once

#include <cstdint>
#include <cstring>

#include "device/kernels/pack.hpp"
#include "device/kernels/team.hpp"
#include "device/precision.hpp"

namespace ntk::device::kernels {

// The nearest number of `bits` fewer significant bits (ties to even), as bits of a float. Not a
// number stays so.
template <int bits>
NTK_HD inline std::uint32_t round_bits(float x) {
  std::uint32_t b;
  std::memcpy(&b, &x, sizeof b);
  if ((b & 0x7fffffffu) > 0x7f800000u) return b | 0x400000u;
  const std::uint32_t half = (1u << (bits - 1)) - 1 + ((b >> bits) & 1);
  return (b + half) & ~((1u << bits) - 1);
}
NTK_HD inline float from_bits(std::uint32_t bits) {
  float x;
  std::memcpy(&x, &bits, sizeof x);
  return x;
}

NTK_HD inline float round_tf32(float x) {
  return from_bits(round_bits<13>(x));
}
NTK_HD inline std::uint16_t to_bf16(float x) {
  return static_cast<std::uint16_t>(round_bits<16>(x) >> 16);
}
NTK_HD inline float from_bf16(std::uint16_t x) {
  return from_bits(static_cast<std::uint32_t>(x) << 16);
}

// Where the columns of a row lie: chunks of 2^log2_chunk columns, the last one shorter.
struct OperandColumns {
  std::int64_t columns = 0;
  int log2_chunk = 0;

  NTK_HD std::int64_t chunk_first(std::int64_t column) const {
    return column >> log2_chunk << log2_chunk;
  }
  NTK_HD std::int64_t chunk_width(std::int64_t first) const {
    const std::int64_t whole = std::int64_t{1} << log2_chunk;
    return columns - first < whole ? columns - first : whole;
  }
};

// How numbers of a format are stored. `put` stores n neighbouring columns of one row, which lie in
// one chunk; n > 1 only where the column, the chunk and the row's length are multiples of n.
template <class Real>
struct WholeNumbers {  // fp64, fp32
  using Number = Real;
  static constexpr int runs = 1;
  template <int n>
  NTK_HD static void put(Number* row, const OperandColumns&, std::int64_t column, const Real* x) {
    store_pack<Number, n>(row + column, x);
  }
};

struct RoundedTf32 {
  using Number = float;
  static constexpr int runs = 1;
  template <int n>
  NTK_HD static void put(Number* row, const OperandColumns&, std::int64_t column, const float* x) {
    float rounded[n];
    for (int i = 0; i < n; ++i) rounded[i] = round_tf32(x[i]);
    store_pack<Number, n>(row + column, rounded);
  }
};

template <int terms>
struct SplitBf16 {
  using Number = std::uint16_t;
  static constexpr int runs = 2 * terms - 1;
  template <int n>
  NTK_HD static void put(Number* row, const OperandColumns& at, std::int64_t column,
                         const float* x) {
    const std::int64_t first = at.chunk_first(column), width = at.chunk_width(first);
    Number* to = row + first * runs + (column - first);
    float rest[n];
    for (int i = 0; i < n; ++i) rest[i] = x[i];
    for (int t = 0; t < terms; ++t) {
      Number term[n];
      for (int i = 0; i < n; ++i) {
        term[i] = to_bf16(rest[i]);
        rest[i] -= from_bf16(term[i]);
      }
      store_pack<Number, n>(to + (terms - 1 - t) * width, term);
      if (t > 0) store_pack<Number, n>(to + (terms - 1 + t) * width, term);
    }
  }
};

// The products of two rows' chunks of `width` columns, those of small terms first: f(a, b, k) for
// the sum over the k numbers from a on in one chunk, and from b on in the other. Sums of leading
// terms may come in pieces.
template <class F>
void for_each_term_product(const PrecisionFacts& facts, std::int64_t width, F f) {
  const std::int64_t last = (facts.terms - 1) * width;
  for (int order = facts.terms - 1; order > 0; --order) {
    f(last - order * width, last, (order + 1) * width);
  }
  const std::int64_t piece = facts.leading_columns > 0 ? facts.leading_columns : width;
  for (std::int64_t first = 0; first < width; first += piece) {
    f(last + first, last + first, width - first < piece ? width - first : piece);
  }
}

// Calls f with the format of a precision as a type.
template <class Real, class F>
auto with_format(Precision precision, F f) {
  if constexpr (sizeof(Real) == sizeof(float)) {
    if (precision == Precision::tf32) return f.template operator()<RoundedTf32>();
    if (precision == Precision::bf16x2) return f.template operator()<SplitBf16<2>>();
    if (precision == Precision::bf16x3) return f.template operator()<SplitBf16<3>>();
  }
  return f.template operator()<WholeNumbers<Real>>();
}

}  // namespace ntk::device::kernels
