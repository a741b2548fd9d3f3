// Tails of the target over the modes, on designed powers and on dense kernels.
#include "theory/source.hpp"

#include <gtest/gtest.h>

#include <numeric>

#include "theory/rates.hpp"
#include "theory/test_kernels.hpp"

namespace ntk::theory {
namespace {

using test::Draw;

// n modes whose signal power is p(k), k from 1, with labels drawn at noise variance v.
template <class Power>
LabelModes drawn_labels(std::size_t n, Power p, double v, Draw& draw) {
  LabelModes labels;
  labels.n = static_cast<double>(n);
  for (std::size_t k = 1; k <= n; ++k) {
    const double root = std::sqrt(p(static_cast<double>(k))) * (draw.uniform() < 0.5 ? -1 : 1);
    labels.power.push_back(std::pow(root + std::sqrt(v / labels.n) * draw.normal(), 2));
    labels.noise.push_back(v / labels.n);
  }
  return labels;
}

TEST(Source, TailsOfAPowerLawHaveItsExponent) {
  Draw draw(41);
  for (const double s : {0.5, 1.0, 2.0}) {
    const auto labels = drawn_labels(
        20000, [&](double k) { return std::pow(k, -(1 + s)); }, 0, draw);
    const auto fits = tail_fits(labels);
    ASSERT_EQ(fits.size(), 3u);
    EXPECT_EQ(fits[0].last, 1000u);
    EXPECT_EQ(fits[1].last, 2000u);
    EXPECT_EQ(fits[2].first, 400u);
    EXPECT_EQ(fits[2].last, 4000u);
    // The sum ends at n: at k = 4000 that is a fifth of an infinite tail of s = 1.
    EXPECT_NEAR(fits[0].exponent, s, 0.05 + 0.05 * s);
    EXPECT_NEAR(fits[2].exponent, s, 0.15);
  }
}

TEST(Source, ATargetSpreadEvenlyHasNoTailExponent) {
  Draw draw(42);
  const auto labels = drawn_labels(
      1000, [](double) { return 0.001; }, 0, draw);
  for (const double tail : tail_sums(labels)) EXPECT_NEAR(tail, 1, 1e-10);
  for (const auto& fit : tail_fits(labels)) EXPECT_NEAR(fit.exponent, 0, 1e-10);
}

// Noise of the labels comes off by its expectation: the mean over draws is that without noise.
TEST(Source, TailSumsAreUnbiased) {
  Draw draw(43);
  const auto p = [](double k) { return std::pow(k, -1.5); };
  const auto exact = tail_sums(drawn_labels(200, p, 0, draw));
  std::vector<double> sums(200, 0.0);
  constexpr int draws = 3000;
  for (int d = 0; d < draws; ++d) {
    const auto tails = tail_sums(drawn_labels(200, p, 0.5, draw));
    for (std::size_t k = 0; k < 200; ++k) sums[k] += tails[k] / draws;
  }
  for (const std::size_t k : {0, 5, 50, 150}) EXPECT_NEAR(sums[k], exact[k], 0.01) << k;
}

TEST(Source, PowerOutsideTheModesIsTail) {
  Draw draw(44);
  auto labels = drawn_labels(
      100, [](double k) { return k <= 3 ? 1.0 : 0.0; }, 0, draw);
  labels.power.resize(3);
  labels.noise.resize(3);
  labels.outside_power = 0.5;
  labels.outside_noise = 0.1;
  const auto tails = tail_sums(labels);
  EXPECT_NEAR(tails[0], 3.4, 1e-12);
  EXPECT_NEAR(tails[2], 1.4 / 0.98, 1e-12);
  EXPECT_NEAR(cumulative_power(labels)[1], 2 / 3.4, 1e-12);
}

TEST(Source, SignalRankIsWhereTheNoiseTakesOver) {
  // Signal k^-2, noise 1/1000 a mode: the mean of k^-2 over (k/2, k] is about 2/k^2.
  LabelModes labels;
  labels.n = 1000;
  for (int k = 1; k <= 1000; ++k) {
    labels.noise.push_back(1e-3);
    labels.power.push_back(1e-3 + std::pow(k, -2.0));
  }
  EXPECT_NEAR(static_cast<double>(signal_rank(labels)), std::sqrt(2000.0), 3);
  EXPECT_EQ(tail_fits(labels).size(), 3u);
  labels.noise.assign(1000, 1.0);
  EXPECT_EQ(signal_rank(labels), 0u);
  EXPECT_TRUE(tail_fits(labels).empty());
  labels.noise.assign(1000, 0.0);
  EXPECT_EQ(signal_rank(labels), 1000u);
}

TEST(Source, AlignmentOfDenseKernels) {
  Draw draw(45);
  constexpr std::size_t n = 40;
  auto kernel = test::kernel_matrix(draw.uniforms(n), test::min_kernel);
  centre_kernel(kernel, n);
  const auto y = centred(draw.normals(n));
  double product = 0, square = 0, norm = 0;
  for (std::size_t i = 0; i < n; ++i) {
    norm += y[i] * y[i];
    for (std::size_t j = 0; j < n; ++j) {
      product += y[i] * kernel[i * n + j] * y[j];
      square += kernel[i * n + j] * kernel[i * n + j];
    }
  }
  const auto e = test::scaled_eigen(kernel, n);
  const std::vector<double> zero(n, 0.0);
  const auto labels = label_modes(project(e, y), norm, zero, 0, n, 1, n - 1);
  const double alignment = kernel_target_alignment(std::span(e.values).first(n - 1), labels);
  EXPECT_NEAR(alignment, product / std::sqrt(square) / norm, 1e-10);
  EXPECT_NEAR(cumulative_power(labels).back(), 1, 1e-12);
}

// The rate map at the exponents of the sequence model (rates_test.cpp measures them).
TEST(Source, RatesOfTheMap) {
  struct Row {
    double alpha, r, descent, ridge;
  };
  for (const auto& row :
       {Row{1.5, 0.5, -.600, -.600}, Row{2, 0.5, -.667, -.667}, Row{2, 0.75, -.750, -.750},
        Row{2, 1.5, -.857, -.800}, Row{4, 0.5, -.800, -.800}}) {
    const double tail = 2 * row.alpha * row.r;
    EXPECT_NEAR(noisy_exponent(tail), row.descent, 5e-4);
    EXPECT_NEAR(noisy_exponent(ridge_tail(tail, row.alpha)), row.ridge, 5e-4);
    EXPECT_NEAR(noise_free_exponent(ridge_tail(tail, row.alpha)),
                -2 * row.alpha * std::min(row.r, 1.0), 1e-12);
  }
  // Noiseless curves fall as n^-min(a - 1, 2b), a = 1 + 2 alpha r, b = alpha (Bordelon et al.).
  EXPECT_EQ(noise_free_exponent(ridge_tail(2 * 2 * 0.75, 2)), -3);
  EXPECT_EQ(noise_free_exponent(ridge_tail(2 * 2 * 1.5, 2)), -4);
  // Splines of order m have alpha = 2m; the ReLU kernel on the sphere S^{d-1} d/(d - 1).
  for (const double m : {1.0, 2.0, 3.0}) {
    EXPECT_NEAR(worst_case_exponent(2 * m), -2 * m / (2 * m + 1), 1e-15);
  }
  for (const double d : {3.0, 10.0}) {
    EXPECT_NEAR(worst_case_exponent(d / (d - 1)), -d / (2 * d - 1), 1e-15);
  }
}

}  // namespace
}  // namespace ntk::theory
