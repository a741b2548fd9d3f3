// Kernels whose spectra are known exactly.
#include <gtest/gtest.h>

#include <numeric>

#include "theory/test_kernels.hpp"

namespace ntk::theory {
namespace {

using std::numbers::phi;
using std::numbers::pi;

std::vector<double> grid(std::size_t n) {
  std::vector<double> x;
  for (std::size_t i = 1; i <= n; ++i) {
    x.push_back(static_cast<double>(i) / static_cast<double>(n));
  }
  return x;
}

TEST(Spectra, MinKernelOnAGridIsExact) {
  constexpr std::size_t n = 200;
  const auto e = test::kernel_eigen(grid(n), test::min_kernel);
  const auto exact = test::min_grid_spectrum(n);
  for (std::size_t k = 0; k < n; ++k) {
    EXPECT_NEAR(e.values[k], exact[k], 7e-13 * exact[0]) << k;
    // u_k(i) ~ sin((2k - 1) i pi/(2n + 1)).
    double product = 0, norm = 0;
    for (std::size_t i = 0; i < n; ++i) {
      const double s = std::sin((2 * static_cast<double>(k) + 1) * static_cast<double>(i + 1) * pi /
                                (2 * n + 1));
      product += s * e.vectors[k * n + i];
      norm += s * s;
    }
    EXPECT_NEAR(std::abs(product) / std::sqrt(norm), 1, 1e-9) << k;
  }
}

// 1/((k - 1/2)^2 pi^2); on the grid ((2n + 1)/(2n))^2 times that, up to 1/n^2.
TEST(Spectra, MinKernelOfThePopulation) {
  constexpr std::size_t n = 20000;
  const auto l = test::min_grid_spectrum(n);
  const double shrink = std::pow(2.0 * n / (2.0 * n + 1), 2);
  EXPECT_NEAR(l[0] * shrink, 0.405285, 5e-7);
  EXPECT_NEAR(l[1] * shrink, 0.045032, 5e-7);
}

// (2 pi k)^-2m, each twice, and on a grid the Fourier transform of the kernel's first row.
TEST(Spectra, PeriodicSplinesOnAGrid) {
  constexpr std::size_t n = 400;
  const auto spline = [](int m, double a, double b) {
    const double d = std::abs(a - b);
    if (m == 1) return (d * d - d + 1.0 / 6) / 2;
    return -(d * d * d * d - 2 * d * d * d + d * d - 1.0 / 30) / 24;
  };
  for (const int m : {1, 2}) {
    const auto x = grid(n);
    const auto e = test::kernel_eigen(x, [&](double a, double b) { return spline(m, a, b); });
    const std::vector<double> digits =
        m == 1 ? std::vector<double>{2.533e-2, 6.333e-3} : std::vector<double>{6.416e-4, 4.010e-5};
    std::vector<double> fourier;
    for (std::size_t k = 0; k < n; ++k) {
      double sum = 0;
      for (std::size_t j = 0; j < n; ++j) {
        sum += spline(m, x[j], x[0]) * std::cos(2 * pi * static_cast<double>(k * (j % n)) / n);
      }
      fourier.push_back(sum / n);
    }
    std::sort(fourier.rbegin(), fourier.rend());
    for (std::size_t k = 0; k < n; ++k) {
      EXPECT_NEAR(e.values[k], fourier[k], 1e-13) << m << " " << k;
    }
    for (std::size_t k = 0; k < 2; ++k) {
      for (const std::size_t twin : {2 * k, 2 * k + 1}) {
        EXPECT_NEAR(e.values[twin] / digits[k], 1, 2e-4) << m << " " << twin;
        EXPECT_NEAR(e.values[twin] * std::pow(2 * pi * static_cast<double>(k + 1), 2 * m), 1, 1e-3);
      }
    }
  }
}

double smooth_kernel(double x, double y) {
  return std::exp(-(x - y) * (x - y) / 2);
}

// The population's operator by Gauss-Hermite quadrature (Golub and Welsch: nodes and weights from
// the matrix of the recurrence): phi^-(2k+1), trace 1.
TEST(Spectra, GaussianKernelFollowsTheGoldenRatio) {
  constexpr std::size_t n = 60;
  std::vector<double> recurrence(n * n, 0.0);
  for (std::size_t i = 0; i + 1 < n; ++i) {
    recurrence[i * n + i + 1] = recurrence[(i + 1) * n + i] = std::sqrt(static_cast<double>(i + 1));
  }
  const auto nodes = eigen_symmetric(recurrence, n);
  std::vector<double> matrix(n * n);
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t j = 0; j < n; ++j) {
      const double roots = nodes.vectors[i * n] * nodes.vectors[j * n];  // of the weights, signed
      matrix[i * n + j] = roots * smooth_kernel(nodes.values[i], nodes.values[j]);
    }
  }
  const auto l = eigenvalues_symmetric(matrix, n);
  const std::vector<double> digits{0.6180, 0.2361, 0.0902, 0.0344};
  for (std::size_t k = 0; k < 8; ++k) {
    EXPECT_NEAR(l[k] * std::pow(phi, 2.0 * static_cast<double>(k) + 1), 1, 1e-8) << k;
    if (k < digits.size()) {
      EXPECT_NEAR(l[k], digits[k], 5e-5);
    }
    EXPECT_NEAR(std::log(l[k + 1] / l[k]), -0.9624, 5e-5);
  }
  EXPECT_NEAR(std::accumulate(l.begin(), l.end(), 0.0), 1, 1e-12);
}

TEST(Spectra, GaussianKernelOfADraw) {
  test::Draw draw(13);
  const auto e = test::kernel_eigen(draw.normals(1024), smooth_kernel);
  for (int k = 0; k < 4; ++k) {
    EXPECT_NEAR(e.values[static_cast<std::size_t>(k)] * std::pow(phi, 2 * k + 1), 1, 0.1) << k;
  }
}

TEST(Spectra, QuadraticKernelHasRankThree) {
  test::Draw draw(14);
  const auto e = test::kernel_eigen(draw.normals(512),
                                    [](double a, double b) { return (1 + a * b) * (1 + a * b); });
  EXPECT_GT(e.values[2] / std::abs(e.values[3]), 1e11);
}

}  // namespace
}  // namespace ntk::theory
