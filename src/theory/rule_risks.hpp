// What every stopping rule reaches on one training block: its stopping time, and its risk in
// sample and out of sample.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "theory/cross_validation.hpp"
#include "theory/filter.hpp"
#include "theory/held_out.hpp"

namespace ntk::theory {

// A training block, its test rows and its folds in their modes: all that does not depend on labels.
struct Block {
  HeldOutModes modes;
  std::vector<Fold> folds;
};
// Of the row-major (n, n) kernel, whose rows are samples of `outputs` rows each; `split` and
// `group` (empty = every sample its own) are of samples.
Block make_block(std::span<const double> kernel, std::size_t n, const Split& split,
                 std::span<const std::int64_t> group, std::uint64_t seed, std::size_t folds = 5,
                 std::size_t outputs = 1);

// Labels of the block's rows; references and their variances where risks are measured. The
// references' errors must be independent of the training labels'.
struct BlockLabels {
  std::vector<double> labels;
  std::vector<double> noise_variances;  // empty: estimated by effective_noise
  std::vector<double> train_reference, train_reference_variance;  // empty: none in sample
  std::vector<double> test_reference, test_reference_variance;
  std::vector<std::size_t> test_part;  // of each test row, from 0; empty: RuleRisk.parts is
  bool head_fitted_on_labels = false;  // as in TheoryInputs
};

// Risks are mean (f - reference)^2 - mean reference_variance.
struct RuleRisk {
  std::string rule;
  double eta = 0;  // infinite for never stopping; 1/nu for ridge_oracle
  double risk = 0;
  double in_sample = 0;             // NaN without a reference there
  std::vector<double> parts;        // the risk on each part of the test rows
  std::vector<double> predictions;  // on the test rows
};
// Where a rule stops.
struct RuleStop {
  const char* rule;
  double eta = 0;
};
struct RuleRisks {
  double noise = 0;             // variance used by the rules
  LabelModes labels;            // the training labels with that noise
  double norm2 = 0;             // of the GCV-tuned fit
  std::vector<RuleStop> stops;  // of rules that have a time of their own: all but rows' oracles
  std::vector<RuleRisk> rules;
};

// Names and meanings, in the order of reports.
struct RuleName {
  const char* name;
  const char* meaning;
};
std::span<const RuleName> rule_names();

// `path`: total step sizes, ascending. The oracles are the best of its points and of the rules'
// times. A rule that is undefined here is left out: rwy without noise or norm, k_fold and hold_out
// without folds, oracle_in_sample without a reference in sample; discrepancy, smoothed, sure and
// rwy where the head was fitted on labels of these rows, whose noise they take to be independent of
// the kernel.
RuleRisks rule_risks(const Block& block, const BlockLabels& labels, std::span<const double> path);

// The rules that look at labels in modes alone: discrepancy, smoothed, gcv, sure, rwy, and never
// and null. `labels` come with their noise, `noise` is its mean variance, `gcv` the GCV stop and
// `norm2` the norm there. `independent`: of the kernel is the noise, else gcv, never and null
// alone.
std::vector<RuleStop> mode_stops(std::span<const double> eigenvalues, const LabelModes& labels,
                                 double noise, double gcv, double norm2, bool independent);
// Those that leave rows out: leave_one_out, and k_fold and hold_out where the block has folds.
std::vector<RuleStop> left_out_stops(const Block& block, std::span<const double> labels,
                                     const LabelModes& modes);

// The training rows as a test set of their own, for predict_rows: factor_ik = l_k U_ik.
std::vector<double> in_sample_factor(const HeldOutModes& modes);

// Rows that judge a fit.
struct JudgedRows {
  std::vector<double> reference, reference_variance;
  std::vector<std::size_t> part;  // of each row, from 0; empty: RuleRisk.parts is
};
// Risks on them, given by their `factor` (predict_rows): the oracles, which are the best for these
// rows, and every stop. Without in-sample risks.
std::vector<RuleRisk> judge_rules(const LabelFit& fit, std::span<const double> factor,
                                  std::span<const RuleStop> stops, std::span<const double> path,
                                  const JudgedRows& rows);

}  // namespace ntk::theory
