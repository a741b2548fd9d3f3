// Learning curves measured on one stored kernel: training sets of several sizes by several seeds,
// all drawn from a pool of rows, against one test set that shares no group with it. Points are
// independent of each other, so that callers can spread them and keep them one by one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <vector>

#include "theory/evaluation.hpp"
#include "theory/held_out.hpp"

namespace ntk::theory {

// Labels of the study's rows and what they are judged by; one entry a row.
struct StudyLabels {
  std::string name;
  std::vector<double> values;
  std::vector<double> noise_variances;                // empty: unknown
  std::vector<double> reference, reference_variance;  // empty: judged by the labels themselves
};

// Rows of a kernel with their labels: samples of `outputs` rows each, which are never divided.
struct StudyRows {
  std::vector<double> kernel;       // (rows, rows) row-major
  std::vector<std::int64_t> group;  // (samples); empty = every one its own
  std::vector<StudyLabels> labels;
  // Their kernels are against these rows; products are not used.
  std::vector<EvaluationSet> evaluate;
  std::size_t outputs = 1;
  ClassTruth truth;                    // of the samples, where labels are indicators of classes
  bool head_fitted_on_labels = false;  // as in TheoryInputs
  std::size_t rows() const;
  std::size_t samples() const { return rows() / outputs; }
};

// A test set of whole groups, drawn by `seed`, and the pool: every sample that shares no group with
// it.
struct StudySplit {
  std::vector<std::size_t> pool, test;  // samples
  std::vector<std::size_t> part;        // of each test sample: its group, or one of 64 random parts
};
// Throws Error(input) where the groups do not give so many test samples or labels are not finite,
// Error(numerical) where the kernel is not.
StudySplit draw_study_split(const StudyRows& rows, std::size_t test_samples, std::uint64_t seed);

inline constexpr std::size_t least_training_rows = 20;

struct StudyPlan {
  StudySplit split;
  std::vector<std::size_t> sizes;  // training samples, ascending
  std::size_t seeds = 20;
  std::uint64_t seed = 1;  // of the first training set
  // Training sets are drawn row by row. Else by whole groups: where rows of a group are alike,
  // small sets then hold few kinds of rows, and their risks are not those of independent rows.
  bool single_rows = false;
};
// Throws Error(usage) where a size exceeds half the pool's rows: larger training sets would be
// nearly the same ones by every seed.
StudyPlan plan_study(StudySplit split, std::vector<std::size_t> sizes, std::size_t seeds,
                     std::uint64_t seed);

// One point: sizes[size] rows by seed plan.seed + draw. Nested in the draw's larger sizes.
struct StudyPoint {
  std::size_t size = 0, draw = 0;
};
std::vector<StudyPoint> study_points(const StudyPlan& plan);  // costly ones first

// {"n", "draw", "labels": [{"noise", "norm2", "rules": [{rule, eta, risk, in_sample, parts}],
// "evaluate": {SET: {"rules"}}, the same fits judged by evaluation sets, "plug_in": [risks at the
// plan's sizes], "corrected": {risk, low, high, plug_in, leave_one_out}}], "classes": {"rules":
// [{rule, eta, risk, parts}], "evaluate"}}. "plug_in" and "corrected" are there at the largest size
// alone, predicted from its training rows ("corrected", extrapolation.hpp, where the noise is known
// and samples have one row, and null where it cannot be had); the risks of "classes", where there
// are any, are error rates. Labels that cannot be learned from these rows are null; numbers that
// are not finite are null.
nlohmann::json study_point(const StudyRows& rows, const StudyPlan& plan, const StudyPoint& point);

// All points (in any order) as theory.json's "learning_curves": for each label set and rule the
// risk's mean and interval at every size, ratios to the oracle, slopes of risk and of the median
// stopping time; the same for evaluation sets; "classes" (or null): every rule's error rates.
// Intervals (95 %) resample seeds and parts of the test set.
nlohmann::json study_report(const StudyRows& rows, const StudyPlan& plan,
                            std::span<const nlohmann::json> points);

}  // namespace ntk::theory
