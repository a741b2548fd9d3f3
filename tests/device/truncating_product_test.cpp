// The emulation of tensor cores against what was published of them, and against the same rules
// written down in integers.
#include "support/truncating_product.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "support/random.hpp"

namespace ntk::test {
namespace {

std::size_t at(std::int64_t i) {
  return static_cast<std::size_t>(i);
}

// The sum in one lane.
template <int group>
float one_sum(const TensorCore& core, const std::vector<float>& a, const std::vector<float>& b) {
  std::vector<float> packed(b.size() * sum_lanes);
  for (std::size_t t = 0; t < b.size(); ++t) packed[t * sum_lanes] = b[t];
  return truncating_sums<group>(core.extra_bits, static_cast<std::int64_t>(a.size()), a.data(),
                                packed.data())[0];
}

// x cut to a multiple of 2^e.
double cut(double x, int e) {
  return std::ldexp(std::trunc(std::ldexp(x, -e)), e);
}

// The rules in double, which holds every product and every sum exactly.
float plain_sum(int group, int extra_bits, const std::vector<float>& a,
                const std::vector<float>& b) {
  double sum = 0;
  for (std::size_t first = 0; first < a.size(); first += at(group)) {
    std::vector<double> addends{sum};
    for (std::size_t t = first; t < std::min(a.size(), first + at(group)); ++t) {
      addends.push_back(static_cast<double>(a[t]) * static_cast<double>(b[t]));
    }
    double largest = 0;
    for (double x : addends) largest = std::max(largest, std::abs(x));
    if (largest == 0) continue;
    sum = 0;
    for (double x : addends) sum += cut(x, std::ilogb(largest) - 23 - extra_bits);
    if (sum != 0) sum = cut(sum, std::ilogb(sum) - 23);
  }
  return static_cast<float>(sum);
}

// Probes of Fasi et al.: group 8, one bit more than fp32 has.
TEST(TruncatingProduct, AgreesWithPublishedProbes) {
  const float tiny = 0x1p-24f;
  const auto sum = [](const std::vector<float>& b) {
    return one_sum<8>(ampere, std::vector<float>(b.size(), 1.0f), b);
  };
  EXPECT_EQ(sum({1, tiny / 2, tiny / 2, tiny / 2, tiny / 2}), 1.0f) << "from the largest on";
  EXPECT_EQ(sum({tiny / 2, tiny / 2, tiny / 2, tiny / 2, 1}), 1.0f) << "in any order";
  EXPECT_EQ(sum({2, 3 * tiny}), 2.0f) << "towards zero";
  EXPECT_EQ(sum({-2, -3 * tiny}), -2.0f) << "towards zero";
  EXPECT_EQ(sum({1, -(1 - tiny)}), tiny) << "one bit more";
  EXPECT_EQ(sum({1 - tiny, tiny, tiny, tiny, tiny}), 1 + 2 * tiny) << "not cut at every addition";
  EXPECT_EQ(sum({1, 1, 1, 1, 1, 1, 1, 1}), 8.0f) << "carries have room";
}

TEST(TruncatingProduct, FollowsItsRules) {
  for (unsigned seed = 0; seed < 50; ++seed) {
    const auto n = static_cast<std::int64_t>(1 + 13 * seed);
    auto a = random_vector<float>(n, seed), b = random_vector<float>(n, seed + 1000);
    for (std::int64_t t = 0; t < n; ++t) {  // of bf16's length, over many sizes, half of one sign
      a[at(t)] = std::ldexp(std::round(a[at(t)] * 64), -static_cast<int>(t % 11));
      b[at(t)] = std::ldexp(std::round(b[at(t)] * 64), -static_cast<int>(t % 7));
      if (seed % 2 == 0) b[at(t)] = std::copysign(b[at(t)], a[at(t)]);
    }
    EXPECT_EQ(one_sum<4>(ampere, a, b), plain_sum(4, ampere.extra_bits, a, b)) << n;
    EXPECT_EQ(one_sum<8>(ampere, a, b), plain_sum(8, ampere.extra_bits, a, b)) << n;
    EXPECT_EQ(one_sum<16>(hopper, a, b), plain_sum(16, hopper.extra_bits, a, b)) << n;
  }
}

TEST(TruncatingProduct, WhatIsNotFiniteStaysSo) {
  const float infinity = INFINITY, nan = NAN, large = 0x1p100f;
  EXPECT_FALSE(std::isfinite(one_sum<8>(ampere, {1, 1, 1}, {1, infinity, 1})));
  EXPECT_FALSE(std::isfinite(one_sum<8>(ampere, {1, 1, 1}, {nan, 1, 1})));
  EXPECT_FALSE(std::isfinite(one_sum<8>(ampere, {large, 1}, {large, 1}))) << "overflow";
  EXPECT_EQ(one_sum<8>(ampere, {0x1p60f, 1}, {0x1p60f, 1}), 0x1p120f);
  EXPECT_EQ(one_sum<8>(ampere, {0x1p-50f, 0}, {0x1p-50f, 0}), 0x1p-100f);
  EXPECT_EQ(one_sum<8>(ampere, {0x1p-80f, 0}, {0x1p-80f, 0}), 0.0f) << "underflow";
}

}  // namespace
}  // namespace ntk::test
