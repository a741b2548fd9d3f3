// Everything that `ntk theory` says, from arrays: theory.json without the files.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "theory/decay_check.hpp"

namespace ntk::theory {

// One vector of labels over the kernel's rows (r = sample * rows_per_sample + output): a rater's
// targets, or the indicator of a class.
struct LabelSet {
  std::string name;
  std::vector<double> values;             // (n)
  std::vector<double> projections;        // (n) U^T values, U the centred kernel's eigenvectors
  std::vector<double> noise_variances{};  // (n) per row; empty = the data carry none
  std::vector<double> noise_modes{};      // (n) sum_j U_ji^2 v_j, v the noise variances
};

enum class NoiseSource { data, estimate, number };

struct TheoryInputs {
  std::int64_t samples = 0;
  std::int64_t rows_per_sample = 1;
  // Eigenvalues of K/n, descending, n = samples * rows_per_sample; raw ones may be missing.
  std::vector<double> raw_eigenvalues, eigenvalues;
  double floor = 0;            // measured noise floor of the eigenvalues; 0 = unknown
  std::int64_t resolved = -1;  // last rank above the noise by the spectrum stage; -1 = unknown
  std::vector<LabelSet> labels;
  NoiseSource noise_source = NoiseSource::data;
  double noise_number = 0;  // with NoiseSource::number
  bool f0_kept = false;     // labels and references have the outputs f_0 taken off

  // For the parts measured on sub-matrices; empty = not available.
  std::vector<std::int64_t> subset;  // rows of the kernel, ascending
  std::vector<double> kernel;        // (subset, subset) row-major, not centred, not divided by n
  std::vector<double> reference, reference_variance;  // (n)
  std::vector<std::int64_t> group;                    // (n); empty = every row its own
  std::vector<std::int32_t> task{};                   // (n) index into tasks; empty = one task
  std::vector<std::string> tasks{};                   // names
  std::uint64_t seed = 1;                             // of all draws
  std::size_t law_draws = theory::law_draws;  // from a law of decay to judge it; 0 = none is judged
};

// The report. Numbers are objects {value, unit, rule}; `limits` says in words what could not be
// stated and why, `caveats` what to keep in mind with what is. Throws Error(input) for label or
// noise arrays that do not fit, Error(numerical) for non-finite eigenvalues.
nlohmann::json theory_summary(const TheoryInputs& inputs);

}  // namespace ntk::theory
