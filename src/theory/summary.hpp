// Everything that `ntk theory` says, from arrays: theory.json without the files.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "theory/decay_check.hpp"
#include "theory/evaluation.hpp"
#include "theory/step_conversion.hpp"

namespace ntk::theory {

// First and second moment of weights w_k on the centred eigenvalues: sum w_k l_k, sum w_k l_k^2.
struct SpectralMoments {
  double first = 0, second = 0;
};
// Of (u_k y)^2/n, from y (n) and A y (n), A = K/n centred.
SpectralMoments label_moments(std::span<const double> y, std::span<const double> product);
// Of sum_j U_jk^2 v_j/n, from A's diagonal and the sums of squares of its rows (n each).
SpectralMoments noise_moments(std::span<const double> variances, std::span<const double> diagonal,
                              std::span<const double> row_squares);

// One vector of labels over the kernel's rows (r = sample * rows_per_sample + output): a rater's
// targets, or the indicator of a class.
struct LabelSet {
  std::string name;
  std::vector<double> values;             // (n)
  std::vector<double> projections;        // (k) U^T values, U the centred kernel's k eigenvectors
  std::vector<double> noise_variances{};  // (n) per row; empty = the data carry none
  std::vector<double> noise_modes{};      // (k) sum_j U_ji^2 v_j, v the noise variances
  // Where k < n: of (u_k y)^2/n, y^T A y/n and |A y|^2/n; of the noise's modes.
  SpectralMoments moments{}, noise_sums{};
};

enum class NoiseSource { data, estimate, number };

struct TheoryInputs {
  std::int64_t samples = 0;
  std::int64_t rows_per_sample = 1;
  // Eigenvalues of K/n, descending, n = samples * rows_per_sample; raw ones may be missing. Of k <
  // n centred ones the rest is known by the moments below (partial_spectrum.hpp).
  std::vector<double> raw_eigenvalues, eigenvalues;
  SpectralMoments raw_sums, sums;  // trace and squared Frobenius norm, where k < n
  bool semidefinite = true;        // no group has a negative weight
  double floor = 0;                // measured noise floor of the eigenvalues; 0 = unknown
  std::int64_t resolved = -1;      // last rank above the noise by the spectrum stage; -1 = unknown
  std::vector<LabelSet> labels;
  NoiseSource noise_source = NoiseSource::data;
  double noise_number = 0;           // with NoiseSource::number
  std::optional<Training> training;  // of the user's, to convert stopping times to
  bool f0_kept = false;              // labels and references have the outputs f_0 taken off
  // The head was fitted on labels of these rows: kernel and outputs depend on the labels' noise.
  bool head_fitted_on_labels = false;

  // For the parts measured on sub-matrices; empty = not available.
  std::vector<std::int64_t> subset;  // rows of the kernel, ascending
  std::vector<double> kernel;        // (subset, subset) row-major, not centred, not divided by n
  std::vector<double> reference, reference_variance;  // (n)
  std::vector<std::int64_t> group;                    // (samples); empty = every one its own
  std::vector<std::int32_t> task{};  // (samples) index into tasks; empty = one task
  std::vector<std::string> tasks{};  // names
  std::vector<EvaluationSet> evaluate;
  ClassTruth truth;                           // where the labels are indicators of classes
  std::uint64_t seed = 1;                     // of all draws
  std::size_t law_draws = theory::law_draws;  // from a law of decay to judge it; 0 = none is judged
};

// The report. Numbers are objects {value, unit, rule}; `limits` says in words what could not be
// stated and why, `caveats` what to keep in mind with what is. Throws Error(input) for label or
// noise arrays that do not fit, Error(numerical) for non-finite eigenvalues.
nlohmann::json theory_summary(const TheoryInputs& inputs);

}  // namespace ntk::theory
