// The real kernel behind the trial tests: MiniLM on 1,024 rated movie snippets (fixtures/trial,
// made by make_trial.py).
#pragma once

#include <cblas.h>

#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <numeric>
#include <stdexcept>
#include <string>
#include <vector>

#include "theory/filter.hpp"
#include "theory/linear_algebra.hpp"

namespace ntk::theory::test {

inline std::string trial_path(const char* name) {
  const char* folder = std::getenv("NTK_FIXTURES");
  if (!folder) throw std::runtime_error("NTK_FIXTURES is not set: run the tests with ctest");
  return std::string(folder) + "/trial/" + name;
}

inline const nlohmann::json& trial() {
  static const nlohmann::json fixture = [] {
    std::ifstream file(trial_path("trial.json"));
    return nlohmann::json::parse(file);
  }();
  return fixture;
}

inline std::vector<double> numbers(const nlohmann::json& j) {
  return j.get<std::vector<double>>();
}

inline constexpr std::size_t trial_rows = 1024;
inline constexpr double trial_noise = 0.973;

// Centred (n, n) kernels of the body and the head: K(s) = head + s^2 body.
struct TrialKernels {
  std::vector<double> body, head;
  std::vector<double> scaled(double s) const {
    auto k = head;
    for (std::size_t i = 0; i < k.size(); ++i) k[i] += s * s * body[i];
    return k;
  }
};
inline const TrialKernels& trial_kernels() {
  static const TrialKernels kernels = [] {
    constexpr std::size_t n = trial_rows;
    std::ifstream file(trial_path("trial.bin"), std::ios::binary);
    const auto next = [&] {
      unsigned char bytes[2] = {0, 0};
      file.read(reinterpret_cast<char*>(bytes), 2);
      if (!file) throw std::runtime_error("trial.bin is too short");
      return static_cast<std::int16_t>(bytes[0] | bytes[1] << 8) / 32767.0;
    };
    const auto& scales = trial().at("kernels");
    const auto diagonal = numbers(scales.at("body_diagonal"));
    const auto columns = numbers(scales.at("head_columns"));
    TrialKernels k{std::vector<double>(n * n), std::vector<double>(n * n, 0.0)};
    for (std::size_t i = 0; i < n; ++i) {
      k.body[i * n + i] = diagonal[i];
      for (std::size_t j = 0; j < i; ++j) {
        k.body[i * n + j] = k.body[j * n + i] = next() * std::sqrt(diagonal[i] * diagonal[j]);
      }
    }
    std::vector<double> factor(columns.size() * n);
    for (std::size_t c = 0; c < columns.size(); ++c) {
      for (std::size_t i = 0; i < n; ++i) factor[c * n + i] = next() * columns[c];
    }
    cblas_dgemm(CblasRowMajor, CblasTrans, CblasNoTrans, n, n, static_cast<int>(columns.size()),
                1.0, factor.data(), n, factor.data(), n, 0.0, k.head.data(), n);
    return k;
  }();
  return kernels;
}

// "one_rater" or "rating_mean" in the modes of the whole kernel, as stored.
inline LabelModes trial_labels(const std::string& name) {
  const auto& set = trial().at(name);
  const auto y = centred(numbers(set.at("labels")));
  return label_modes(numbers(set.at("projections")),
                     std::inner_product(y.begin(), y.end(), y.begin(), 0.0),
                     numbers(set.at("mode_variances")), mean(numbers(set.at("variances"))),
                     trial_rows, 1, trial_rows - 1);
}

}  // namespace ntk::theory::test
