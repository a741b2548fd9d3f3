// Rounding and splitting of the operands of a contraction: the bounds that docs/numerics.md
// ("Precisions") starts from, at every kind of number.
#include "device/kernels/operand.hpp"

#include <gtest/gtest.h>

#include <cfloat>
#include <cmath>
#include <random>
#include <vector>

namespace ntk::device::kernels {
namespace {

double wide(float x) {
  return static_cast<double>(x);
}

// Numbers of every exponent from 2^least on, with random and with special last bits.
std::vector<float> numbers(int least) {
  std::mt19937 bits(1);
  std::vector<float> all;
  for (int e = least; e < 127; ++e) {
    for (std::uint32_t i = 0; i < 200; ++i) {
      std::uint32_t fraction = bits() & 0x7fffffu;
      if (i % 4 == 1) fraction &= 0x7f0000u;                                    // a bf16 number
      if (i % 4 == 2) fraction = (fraction | 0xffffu) - 1;                      // near the next one
      if (i % 4 == 3) fraction = 0x8000u + (fraction & 0x7f0000u) + i % 3 - 1;  // by a tie
      const std::uint32_t sign = bits() & 0x80000000u;
      all.push_back(from_bits(sign | static_cast<std::uint32_t>(e + 127) << 23 | fraction));
    }
  }
  return all;
}

template <int terms>
std::vector<float> split(float x) {
  std::uint16_t row[2 * terms - 1];
  SplitBf16<terms>::template put<1>(row, {1, 0}, 0, &x);
  std::vector<float> made;
  for (int t = 0; t < terms; ++t) {
    EXPECT_EQ(row[terms - 1 - t], row[terms - 1 + t]) << "both halves of a row";
    made.push_back(from_bf16(row[terms - 1 + t]));
  }
  return made;
}

TEST(Operands, TiesGoToEven) {
  EXPECT_EQ(round_tf32(1 + 0x1p-11f), 1.0f);
  EXPECT_EQ(round_tf32(1 + 3 * 0x1p-11f), 1 + 0x1p-9f);
  EXPECT_EQ(round_tf32(-(1 + 3 * 0x1p-11f)), -(1 + 0x1p-9f));
  EXPECT_EQ(round_tf32(1 + 0x1p-11f + 0x1p-23f), 1 + 0x1p-10f);
  EXPECT_EQ(round_tf32(2 - 0x1p-23f), 2.0f);
  EXPECT_EQ(from_bf16(to_bf16(1 + 0x1p-8f)), 1.0f);
  EXPECT_EQ(from_bf16(to_bf16(1 + 3 * 0x1p-8f)), 1 + 0x1p-6f);
  EXPECT_EQ(from_bf16(to_bf16(1 + 0x1p-8f + 0x1p-23f)), 1 + 0x1p-7f);
}

TEST(Operands, ErrorsOfNormalNumbersAreWithinTheirRoundoff) {
  for (const float x : numbers(-100)) {
    const double size = std::abs(wide(x));
    if (size > 0x1.fep127) continue;  // see TooLargeNumbersAreNotFinite
    EXPECT_LE(std::abs(wide(round_tf32(x)) - wide(x)), 0x1p-11 * size);
    const auto two = split<2>(x), three = split<3>(x);
    EXPECT_LE(std::abs(wide(two[1])), 0x1p-8 * size);
    EXPECT_LE(std::abs(wide(two[0]) + wide(two[1]) - wide(x)), 0x1p-17 * size);
    EXPECT_LE(std::abs(wide(three[2])), 0x1p-17 * size);
    EXPECT_EQ(wide(three[0]) + wide(three[1]) + wide(three[2]), wide(x)) << "three terms are exact";
  }
}

// Below 2^-110 the last bits of a third term, below 2^-101 those of a second, are no bf16 numbers.
TEST(Operands, ErrorsOfTinyNumbersAreThoseOfTheLeastBf16Number) {
  auto tiny = numbers(-126);
  for (std::uint32_t b = 1; b < 0x800000u; b += 4099) tiny.push_back(from_bits(b));  // subnormal
  for (const float x : tiny) {
    if (std::abs(x) > 0x1p-90f) continue;
    const double size = std::abs(wide(x));
    const auto two = split<2>(x), three = split<3>(x);
    EXPECT_LE(std::abs(wide(round_tf32(x)) - wide(x)), std::max(0x1p-11 * size, 0x1p-137));
    EXPECT_LE(std::abs(wide(two[0]) + wide(two[1]) - wide(x)), std::max(0x1p-17 * size, 0x1p-134));
    EXPECT_LE(std::abs(wide(three[0]) + wide(three[1]) + wide(three[2]) - wide(x)), 0x1p-134);
  }
  EXPECT_EQ(split<3>(0.0f), std::vector<float>(3, 0.0f));
}

TEST(Operands, WhatIsNotFiniteStaysSo) {
  for (const float x : {INFINITY, -INFINITY, NAN, from_bits(0x7f800001u), from_bits(0xffffffffu)}) {
    EXPECT_FALSE(std::isfinite(round_tf32(x)));
    EXPECT_EQ(std::isnan(round_tf32(x)), std::isnan(x));
    EXPECT_FALSE(std::isfinite(split<2>(x)[0]));
    EXPECT_FALSE(std::isfinite(split<3>(x)[0]));
  }
}

// The last half unit below FLT_MAX rounds up to what there is no number for. A sum of such
// numbers' squares has long overflowed.
TEST(Operands, TooLargeNumbersAreNotFinite) {
  EXPECT_TRUE(std::isinf(round_tf32(FLT_MAX)));
  EXPECT_FALSE(std::isfinite(split<2>(FLT_MAX)[0]));
  EXPECT_FALSE(std::isfinite(split<3>(-FLT_MAX)[0]));
  const float largest_bf16 = from_bf16(0x7f7f);
  EXPECT_EQ(split<3>(largest_bf16), (std::vector<float>{largest_bf16, 0, 0}));
  EXPECT_EQ(round_tf32(0x1.ffcp127f), 0x1.ffcp127f);
}

// Four numbers at once land where one at a time does.
template <class Format>
void expect_packs_equal_singles() {
  const std::vector<float> x = {1.1f, -2.2f, 3.3e-5f, 4.4e6f, 0.0f, 6.6f, -7.7f, 8.8f};
  alignas(16) typename Format::Number one[8 * Format::runs] = {}, four[8 * Format::runs] = {};
  const OperandColumns at{8, 3};
  for (int i = 0; i < 8; ++i) Format::template put<1>(one, at, i, x.data() + i);
  for (int i = 0; i < 8; i += 4) Format::template put<4>(four, at, i, x.data() + i);
  EXPECT_TRUE(std::equal(std::begin(one), std::end(one), std::begin(four)));
}
TEST(Operands, PacksEqualSingles) {
  expect_packs_equal_singles<RoundedTf32>();
  expect_packs_equal_singles<SplitBf16<2>>();
  expect_packs_equal_singles<SplitBf16<3>>();
}

}  // namespace
}  // namespace ntk::device::kernels
