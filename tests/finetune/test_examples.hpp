// Made-up examples for the tests of finetune, and a least-squares solver of another kind.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <numbers>
#include <random>
#include <vector>

#include "finetune/examples.hpp"

extern "C" void dgels_(const char* trans, const int* m, const int* n, const int* nrhs, double* a,
                       const int* lda, double* b, const int* ldb, double* work, const int* lwork,
                       int* info);

namespace ntk::finetune::test {

class Draw {
 public:
  explicit Draw(std::uint64_t seed) : engine_(seed) {}
  double normal() {
    return std::sqrt(-2 * std::log(uniform())) * std::cos(2 * std::numbers::pi * uniform());
  }
  double uniform() { return (static_cast<double>(engine_() >> 11) + 0.5) * 0x1p-53; }

 private:
  std::mt19937_64 engine_;
};

// Correlated features far from their origin, whose spread falls with the column.
inline Examples features(std::size_t rows, std::size_t width, std::uint64_t seed) {
  Draw draw(seed);
  Examples e;
  e.rows = rows;
  e.width = width;
  for (std::size_t i = 0; i < rows; ++i) {
    const double common = draw.normal();
    for (std::size_t j = 0; j < width; ++j) {
      const double spread = 1 / (1 + static_cast<double>(j));
      e.features.push_back(3 - static_cast<double>(j % 3) + spread * (draw.normal() + common));
    }
  }
  return e;
}

inline Examples with_targets(std::size_t rows, std::size_t width, std::uint64_t seed) {
  Examples e = features(rows, width, seed);
  Draw draw(seed + 1);
  for (std::size_t i = 0; i < rows; ++i) {
    e.target.push_back(5 + 2 * e.features[i * width] - e.features[i * width + 1] + draw.normal());
  }
  return e;
}

inline Examples with_classes(std::size_t rows, std::size_t width, std::int64_t classes,
                             std::uint64_t seed, double noise = 1) {
  Examples e = features(rows, width, seed);
  Draw draw(seed + 1);
  e.classes = classes;
  for (std::size_t i = 0; i < rows; ++i) {
    const double score = e.features[i * width] - 3 + noise * draw.normal();
    const auto label = static_cast<std::int32_t>(std::floor((score + 1.5) / 3 * classes));
    e.label.push_back(std::clamp(label, 0, static_cast<std::int32_t>(classes) - 1));
  }
  return e;
}

// argmin (1/n) sum (y - w.x - b)^2 + penalty |w|^2 on the features as they are, by a QR
// decomposition of the rows with sqrt(n penalty) below them.
inline LinearMap ridge_by_qr(const Examples& e, double penalty) {
  const std::size_t d = e.width, height = e.rows + d;
  std::vector<double> a(height * (d + 1), 0.0), b(height, 0.0);
  const auto at = [&](std::size_t i, std::size_t j) -> double& { return a[j * height + i]; };
  for (std::size_t i = 0; i < e.rows; ++i) {
    for (std::size_t j = 0; j < d; ++j) at(i, j) = e.features[i * d + j];
    at(i, d) = 1;
    b[i] = e.target[i];
  }
  for (std::size_t j = 0; j < d; ++j) {
    at(e.rows + j, j) = std::sqrt(static_cast<double>(e.rows) * penalty);
  }
  const int m = static_cast<int>(height), n = static_cast<int>(d) + 1, one = 1;
  int info = 0, size = 64 * (m + n);
  std::vector<double> work(static_cast<std::size_t>(size));
  dgels_("N", &m, &n, &one, a.data(), &m, b.data(), &m, work.data(), &size, &info);
  EXPECT_EQ(info, 0);
  return {{b.begin(), b.begin() + static_cast<std::ptrdiff_t>(d)}, {b[d]}};
}

inline double distance(const std::vector<double>& a, const std::vector<double>& b) {
  EXPECT_EQ(a.size(), b.size());
  double square = 0, size = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    square += (a[i] - b[i]) * (a[i] - b[i]);
    size += b[i] * b[i];
  }
  return std::sqrt(square / std::max(size, 1e-300));
}

}  // namespace ntk::finetune::test
