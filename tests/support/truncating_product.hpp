// Sums of products as tensor cores take them, for tests on machines without.
//
// The model is that of published studies of the hardware: Fasi, Higham, Mikaitis, Pranesh,
// "Numerical behavior of NVIDIA tensor cores", PeerJ Computer Science 7:e330 (2021), for compute
// capability 8.0; Khattak, Mikaitis, "Accurate models of NVIDIA tensor cores", arXiv:2512.07004,
// for 9.0. A group of products, each exact, and the sum so far are aligned to the largest of them,
// cut off some bits below the last bit that an fp32 number of that size has, added exactly, and the
// result is cut to fp32. All cuts are towards zero, so that sums of one sign drift.
//
// Two details make the model no better than the hardware. Sizes are those of normalised products:
// the hardware keeps one bit more where the largest addend is a product that had to be normalised.
// And numbers below 2^-127 are cut to zero.
#pragma once

#include <cstdint>
#include <cstring>

#include "device/cpu/vector.hpp"
#include "device/kernels/team.hpp"

namespace ntk::test {

struct TensorCore {
  int bf16_group, tf32_group;  // products that are added at once
  int extra_bits;              // kept below fp32's last bit
};
inline constexpr TensorCore ampere{8, 4, 1};   // 8.0
inline constexpr TensorCore hopper{16, 8, 2};  // 9.0

// Sums side by side: one a lane.
using Sums = device::cpu::Vector<float>::type;
using SumBits = device::cpu::LaneIndex<float>::type;
inline constexpr int sum_lanes = device::cpu::Vector<float>::lanes;

namespace truncating_detail {

inline SumBits bits_of(Sums x) {
  SumBits bits;
  std::memcpy(&bits, &x, sizeof bits);
  return bits;
}
inline Sums from_bits(SumBits bits) {
  Sums x;
  std::memcpy(&x, &bits, sizeof x);
  return x;
}
inline SumBits max(SumBits a, SumBits b) {
  return a > b ? a : b;
}

// x as a float, cut towards zero; x >= 0.
inline Sums cut_to_float(SumBits x) {
  const Sums rounded = __builtin_convertvector(x, Sums);
  const SumBits too_large = __builtin_convertvector(rounded, SumBits) > x;  // -1 where true
  return from_bits(bits_of(rounded) + too_large);
}

}  // namespace truncating_detail

// sum + the products of a[t] and b[t * sum_lanes ...] for t < group, in one step of the hardware.
template <int group>
inline Sums add_group(int extra_bits, const float* a, const float* b, Sums sum) {
  using namespace truncating_detail;
  static_assert(group <= 16, "32 bits hold the sum of 17 addends of 26 bits");
  constexpr int sign_off = 0x7fffffff, bias = 127, fraction = 23, infinite = 255;
  Sums products[group];
  SumBits largest = bits_of(sum) & sign_off;
  for (int t = 0; t < group; ++t) {
    Sums x;
    std::memcpy(&x, b + t * sum_lanes, sizeof x);
    products[t] = x * a[t];
    largest = max(largest, bits_of(products[t]) & sign_off);
  }
  // 2^(e - bias) <= largest < 2^(e - bias + 1); the last bit kept is that e less `below`.
  const int below = fraction + extra_bits;
  const SumBits e = max(largest >> fraction, SumBits{} + (below + 1));
  const Sums scale = from_bits((2 * bias + below - e) << fraction);
  const Sums unit = from_bits((e - below) << fraction);
  const SumBits finite = (largest >> fraction) != infinite;                // others would overflow
  SumBits total = __builtin_convertvector(sum * scale, SumBits) & finite;  // cuts towards zero
  for (int t = 0; t < group; ++t) {
    total += __builtin_convertvector(products[t] * scale, SumBits) & finite;
  }
  const SumBits negative = total < 0;
  const Sums size = cut_to_float(negative ? -total : total) * unit;
  const SumBits result = bits_of(size) | (negative & ~sign_off);
  const SumBits not_a_number = SumBits{} + 0x7fc00000;
  return from_bits(finite ? result : not_a_number);
}

// Sums of k products of a[t] and b[t * sum_lanes ...], from zero. Not finite products make a sum
// not a number.
template <int group>
inline Sums truncating_sums(int extra_bits, std::int64_t k, const float* a, const float* b) {
  Sums sum{};
  std::int64_t t = 0;
  for (; t + group <= k; t += group) {
    sum = add_group<group>(extra_bits, a + t, b + t * sum_lanes, sum);
  }
  if (t < k) {
    float last_a[group] = {}, last_b[group * sum_lanes] = {};
    std::memcpy(last_a, a + t, static_cast<std::size_t>(k - t) * sizeof(float));
    std::memcpy(last_b, b + t * sum_lanes,
                static_cast<std::size_t>((k - t) * sum_lanes) * sizeof(float));
    sum = add_group<group>(extra_bits, last_a, last_b, sum);
  }
  return sum;
}

}  // namespace ntk::test
