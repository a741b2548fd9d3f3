// Kernels with known spectra for the tests of theory. Serial, deterministic.
#pragma once

#include <cblas.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numbers>
#include <random>
#include <vector>

#include "theory/filter.hpp"
#include "theory/linear_algebra.hpp"
#include "theory/summary.hpp"

namespace ntk::theory::test {

// Normal and uniform draws that do not depend on the standard library's distributions.
class Draw {
 public:
  explicit Draw(std::uint64_t seed) : engine_(seed) {}
  double uniform() { return (static_cast<double>(engine_() >> 11) + 0.5) * 0x1p-53; }
  double normal() {
    return std::sqrt(-2 * std::log(uniform())) * std::cos(2 * std::numbers::pi * uniform());
  }
  std::vector<double> uniforms(std::size_t n) {
    std::vector<double> x(n);
    for (double& v : x) v = uniform();
    return x;
  }
  std::vector<double> normals(std::size_t n) {
    std::vector<double> x(n);
    for (double& v : x) v = normal();
    return x;
  }

 private:
  std::mt19937_64 engine_;
};

template <class Function>
std::vector<double> kernel_matrix(const std::vector<double>& x, Function k) {
  const std::size_t n = x.size();
  std::vector<double> matrix(n * n);
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t j = 0; j < n; ++j) matrix[i * n + j] = k(x[i], x[j]);
  }
  return matrix;
}

inline SymmetricEigen scaled_eigen(std::vector<double> kernel, std::size_t n) {
  for (double& v : kernel) v /= static_cast<double>(n);
  return eigen_symmetric(std::move(kernel), n);
}

template <class Function>
SymmetricEigen kernel_eigen(const std::vector<double>& x, Function k) {
  return scaled_eigen(kernel_matrix(x, k), x.size());
}

inline double min_kernel(double x, double y) {
  return std::min(x, y);
}

// Row-major (n, p) Gaussian features with variances k^-alpha.
inline std::vector<double> power_features(std::size_t n, std::size_t p, double alpha, Draw& draw) {
  auto z = draw.normals(n * p);
  for (std::size_t k = 0; k < p; ++k) {
    const double s = std::pow(static_cast<double>(k + 1), -alpha / 2);
    for (std::size_t i = 0; i < n; ++i) z[i * p + k] *= s;
  }
  return z;
}

// Z Z^T plus `tail` on the diagonal (the features that were not drawn).
inline std::vector<double> gram(const std::vector<double>& z, std::size_t n, std::size_t p,
                                double tail = 0) {
  std::vector<double> k(n * n);
  const int rows = static_cast<int>(n), columns = static_cast<int>(p);
  cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasTrans, rows, rows, columns, 1.0, z.data(), columns,
              z.data(), columns, 0.0, k.data(), rows);
  for (std::size_t i = 0; i < n; ++i) k[i * n + i] += tail;
  return k;
}

// sum over k > p of k^-alpha.
inline double power_tail(std::size_t p, double alpha) {
  return std::pow(static_cast<double>(p) + 0.5, 1 - alpha) / (alpha - 1);
}

// Exact eigenvalues of min(x, y) on x_i = i/n, divided by n.
inline std::vector<double> min_grid_spectrum(std::size_t n) {
  std::vector<double> l;
  const auto count = static_cast<double>(n);
  for (std::size_t k = 1; k <= n; ++k) {
    const double s =
        std::sin((2.0 * static_cast<double>(k) - 1) * std::numbers::pi / (4 * count + 2));
    l.push_back(1 / (4 * count * count * s * s));
  }
  return l;
}

// The point of `grid` with the least in-sample risk for a known f*.
inline double oracle_stop(const std::vector<double>& eigenvalues, const std::vector<double>& signal,
                          const std::vector<double>& noise, const std::vector<double>& grid) {
  double best = 0, least = std::numeric_limits<double>::infinity();
  for (const double eta : grid) {
    const double risk = in_sample_risk(flow_residual(eigenvalues, eta), signal, noise).total();
    if (risk < least) {
      least = risk;
      best = eta;
    }
  }
  return best;
}

// What is left of `inputs` when only k centred pairs were computed: the moments of the rest.
inline TheoryInputs leading_pairs(TheoryInputs inputs, std::size_t k) {
  const auto& l = inputs.eigenvalues;
  const double n = static_cast<double>(l.size());
  const auto sums = [&](auto weight) {
    SpectralMoments m;
    for (std::size_t i = 0; i < l.size(); ++i) {
      m.first += weight(i) * l[i];
      m.second += weight(i) * l[i] * l[i];
    }
    return m;
  };
  inputs.sums = sums([](std::size_t) { return 1.0; });
  for (auto& labels : inputs.labels) {
    labels.moments =
        sums([&](std::size_t i) { return labels.projections[i] * labels.projections[i] / n; });
    labels.projections.resize(k);
  }
  if (!inputs.labels[0].noise_modes.empty()) {
    inputs.labels[0].noise_sums =
        sums([&](std::size_t i) { return inputs.labels[0].noise_modes[i] / n; });
    inputs.labels[0].noise_modes.resize(k);
  }
  inputs.raw_sums = {};
  inputs.raw_eigenvalues.clear();
  inputs.eigenvalues.resize(k);
  return inputs;
}

// Slope of log y on log x.
inline double log_slope(std::vector<double> x, std::vector<double> y) {
  for (double& v : x) v = std::log(v);
  for (double& v : y) v = std::log(v);
  return fit_line(x, y, std::vector<double>(x.size(), 1.0)).slope;
}

}  // namespace ntk::theory::test
