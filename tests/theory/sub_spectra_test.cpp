#include "theory/sub_spectra.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "theory/test_kernels.hpp"

namespace ntk::theory {
namespace {

using test::Draw;

TEST(SubSpectra, AllRowsGiveTheCentredSpectrum) {
  Draw draw(91);
  constexpr std::size_t n = 40;
  auto kernel = test::kernel_matrix(draw.uniforms(n), test::min_kernel);
  const auto spectra = sub_spectra(kernel, n, n, 1, 5);
  centre_kernel(kernel, n);
  const auto whole = test::scaled_eigen(kernel, n).values;
  ASSERT_EQ(spectra.at(0).size(), n - 1);
  for (std::size_t k = 0; k < n - 1; ++k) EXPECT_NEAR(spectra[0][k], whole[k], 1e-14);
}

TEST(SubSpectra, RowsAreDrawnWithoutReplacement) {
  Draw draw(92);
  constexpr std::size_t n = 60;
  const auto kernel = test::kernel_matrix(draw.uniforms(n), test::min_kernel);
  const auto spectra = sub_spectra(kernel, n, 30, 5, 5);
  for (const auto& values : spectra) EXPECT_EQ(values.size(), 29u);  // a row twice: a zero more
  EXPECT_NE(spectra[0], spectra[1]);
  EXPECT_EQ(sub_spectra(kernel, n, 30, 1, 6)[0], spectra[1]);
}

// The same kernel for three outputs that share nothing: every eigenvalue of K/m three times, m
// being the rows of all outputs.
TEST(SubSpectra, SamplesKeepTheirOutputs) {
  Draw draw(94);
  constexpr std::size_t n = 40, outputs = 3, order = n * outputs;
  const auto one = test::kernel_matrix(draw.uniforms(n), test::min_kernel);
  std::vector<double> kernel(order * order, 0.0);
  for (std::size_t i = 0; i < order; ++i) {
    for (std::size_t j = i % outputs; j < order; j += outputs) {
      kernel[i * order + j] = one[i / outputs * n + j / outputs];
    }
  }
  const auto expected = sub_spectra(one, n, 20, 2, 5);
  const auto spectra = sub_spectra(kernel, order, 20 * outputs, 2, 5, outputs);
  for (std::size_t d = 0; d < 2; ++d) {
    ASSERT_EQ(spectra[d].size(), outputs * 19);
    for (std::size_t k = 0; k < spectra[d].size(); ++k) {
      EXPECT_NEAR(spectra[d][k], expected[d][k / outputs] / outputs, 1e-13);
    }
  }
}

// Of a mean of n numbers the jackknife gives their standard deviation over sqrt(n), whatever m.
TEST(SubSpectra, JackknifeOfAMean) {
  Draw draw(93);
  constexpr std::size_t n = 100;
  const auto x = draw.normals(n);
  double square = 0;
  for (const double v : x) square += (v - mean(x)) * (v - mean(x));
  const double sd = std::sqrt(square / (n - 1) / n);
  for (const std::size_t m : {25, 50, 80}) {
    std::vector<double> means;
    for (int d = 0; d < 4000; ++d) {
      std::vector<double> left = x;
      double sum = 0;
      for (std::size_t i = 0; i < m; ++i) {
        const auto j = i + static_cast<std::size_t>(draw.uniform() * static_cast<double>(n - i));
        std::swap(left[i], left[j]);
        sum += left[i];
      }
      means.push_back(sum / static_cast<double>(m));
    }
    EXPECT_NEAR(*jackknife_sd(means, m, n) / sd, 1, 0.05) << m;
  }
  EXPECT_FALSE(jackknife_sd(std::vector<double>(9, 1.0), 5, 10));
  EXPECT_FALSE(jackknife_sd(std::vector<double>(20, 1.0), 10, 10));
}

// The scatter over fresh kernels is what the jackknife on one of them estimates.
TEST(SubSpectra, JackknifeOfAnExponent) {
  constexpr std::size_t n = 120, p = 480;
  constexpr double alpha = 1.5;
  std::vector<double> fresh, estimates;
  for (std::uint64_t seed = 0; seed < 40; ++seed) {
    Draw draw(1000 + seed);
    const auto kernel =
        test::gram(test::power_features(n, p, alpha, draw), n, p, test::power_tail(p, alpha));
    fresh.push_back(kappa_values(sub_spectra(kernel, n, n, 1, 1), n).full.at(0));
    const auto halves = kappa_values(sub_spectra(kernel, n, n / 2, 20, seed), n / 2);
    estimates.push_back(*jackknife_sd(halves.full, n / 2, n));
  }
  double square = 0;
  for (const double v : fresh) square += (v - mean(fresh)) * (v - mean(fresh)) / 39;
  // Halves scatter by more than in proportion: windows end earlier.
  const double ratio = mean(estimates) / std::sqrt(square);
  EXPECT_GT(ratio, 0.8);
  EXPECT_LT(ratio, 1.9);
}

TEST(SubSpectra, RanksAgreeUpToWhereTheTailIsCut) {
  constexpr std::size_t n = 200, p = 800;
  Draw draw(95);
  const auto kernel = test::gram(test::power_features(n, p, 2, draw), n, p, test::power_tail(p, 2));
  const auto whole = sub_spectra(kernel, n, n, 1, 1)[0];
  const auto curve = ridge_curve(whole, n);
  const auto halves = sub_spectra(kernel, n, n / 2, 20, 1);
  const auto strict = agreeing_rank(curve, halves, n / 2, 0.02);
  const auto loose = agreeing_rank(curve, halves, n / 2, 0.1);
  EXPECT_LE(strict, loose);
  EXPECT_GE(loose, 20u);
  EXPECT_LE(loose, n / 2 + n / 18);  // 1/0.9 of the ranks that a half has
  EXPECT_EQ(agreeing_rank(curve, halves, n / 2, 0.0), 0u);
}

}  // namespace
}  // namespace ntk::theory
