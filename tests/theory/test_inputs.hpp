// A problem of known decay, target and noise for the tests of theory's report.
#pragma once

#include "theory/summary.hpp"
#include "theory/test_kernels.hpp"

namespace ntk::theory::test {

inline constexpr double noise = 0.01;

// Gaussian features of alpha = 1.5 (n by n kernel times `scale`), a target that uses them all,
// labels with noise of variance 0.01, references without.
inline TheoryInputs make_inputs(std::size_t n, double scale = 1, std::uint64_t seed = 61) {
  Draw draw(seed);
  constexpr std::size_t p = 1000;
  const auto z = power_features(n, p, 1.5, draw);
  TheoryInputs inputs;
  inputs.samples = static_cast<std::int64_t>(n);
  inputs.kernel = gram(z, n, p, power_tail(p, 1.5));
  for (double& v : inputs.kernel) v *= scale;
  inputs.raw_eigenvalues = scaled_eigen(inputs.kernel, n).values;
  auto centred_kernel = inputs.kernel;
  centre_kernel(centred_kernel, n);
  const auto e = scaled_eigen(centred_kernel, n);
  inputs.eigenvalues = e.values;
  LabelSet labels{"target", {}, {}};
  for (std::size_t i = 0; i < n; ++i) {
    double truth = 1;
    for (std::size_t k = 0; k < p; ++k) {
      truth += z[i * p + k] * std::pow(static_cast<double>(k + 1), -0.35) * (k % 3 ? 1 : -1);
    }
    labels.values.push_back(truth + std::sqrt(noise) * draw.normal());
    inputs.reference.push_back(truth);
    inputs.subset.push_back(static_cast<std::int64_t>(i));
  }
  inputs.reference_variance.assign(n, 0.0);
  labels.noise_variances.assign(n, noise);
  labels.noise_modes = project_variances(e, labels.noise_variances);
  labels.projections = project(e, labels.values);
  inputs.labels = {labels};
  return inputs;
}

// The number of a {value, unit, rule} object of a report.
inline double value(const nlohmann::json& j) {
  return j.at("value").get<double>();
}

// Whether one of a list of texts holds these words.
inline bool says(const nlohmann::json& list, const std::string& words) {
  return std::any_of(list.begin(), list.end(), [&](const nlohmann::json& line) {
    return line.get<std::string>().find(words) != std::string::npos;
  });
}

}  // namespace ntk::theory::test
