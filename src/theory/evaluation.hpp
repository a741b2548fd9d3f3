// Evaluation sets: rows of other data that judge fits on the training rows, by a stored kernel of
// theirs against these.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "theory/classes.hpp"
#include "theory/rule_risks.hpp"

namespace ntk::theory {

// What a set says of one label set of the training rows.
struct EvaluationLabels {
  std::string missing;  // why it says nothing; then the rest is empty
  bool by_reference = false;
  bool excess = false;  // the noise of what judges is known, and taken off
  // (rows): references and their variances, else labels and their noise variances (0 = unknown).
  std::vector<double> reference, reference_variance;
};

struct EvaluationSet {
  std::string name;
  std::size_t rows = 0;
  std::size_t outputs = 1;               // rows of a sample
  std::vector<std::size_t> part;         // of each sample (parts_of_rows)
  bool grouped = false;                  // parts are groups of the data
  std::vector<EvaluationLabels> labels;  // one a label set of the training rows
  ClassTruth truth;                      // by the training rows' classes
  // (rows, n) row-major: its kernel against all training rows, centred by their means, times U.
  std::vector<double> product;
  // (rows, subset) row-major: its kernel against TheoryInputs::subset, as stored.
  std::vector<double> kernel;

  // Of label set `label`, which must not be missing.
  JudgedRows judged(std::size_t label) const;
};

// {eta, flow, ridge}: risks of a fit along `path` on rows given by their `factor` (predict_rows).
nlohmann::json path_risks(const LabelFit& fit, std::span<const double> factor,
                          std::span<const double> path, const JudgedRows& rows);

// What is known of a set beside its numbers: {rows, samples, parts, groups_kept_whole, judged_by,
// excess}.
nlohmann::json describe(const EvaluationSet& set, std::size_t label);

// Gradient flow and ridge regression trained on all rows and judged on the set (`risks`, with
// parts, along `path`): describe() with "rules": [{rule, eta, risk, low, high, to_oracle,
// to_oracle_low, to_oracle_high}] and "path": path_risks. Intervals (95 %)
// resample parts of the set.
nlohmann::json evaluate_fit(const EvaluationSet& set, std::size_t label, const LabelFit& fit,
                            std::span<const double> factor, std::span<const double> path,
                            std::span<const RuleRisk> risks, std::uint64_t seed);

// Error rates of the same fits: {samples, parts, "rules": [{rule, error_rate, low, high}]}; null
// where there are none.
nlohmann::json evaluate_classes(const EvaluationSet& set, std::span<const ErrorRate> rates,
                                std::uint64_t seed);

}  // namespace ntk::theory
