// What a linear probe is fitted on, and what comes out of it, as arrays.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace ntk::finetune {

// Features of some rows with their labels: real targets, or classes.
struct Examples {
  std::size_t rows = 0, width = 0;
  std::vector<double> features;     // (rows, width) row-major
  std::vector<double> target;       // (rows); empty with classes
  std::vector<std::int32_t> label;  // (rows) in [0, classes); empty with targets
  std::int64_t classes = 0;
  std::vector<std::int64_t> group;  // (rows); empty = every row its own
  bool of_classes() const { return classes > 0; }
  std::size_t outputs() const { return of_classes() ? static_cast<std::size_t>(classes) : 1; }
};

// The rows picked out, in that order.
Examples pick(const Examples& from, std::span<const std::size_t> rows);

// f(x) = W x + b.
struct LinearMap {
  std::vector<double> weight;  // (outputs, width) row-major
  std::vector<double> bias;    // (outputs)
};

// f of every row, (rows, outputs) row-major. `features` has map.weight's width a row.
std::vector<double> outputs_of(const LinearMap& map, std::span<const double> features,
                               std::size_t rows);

// (x - mean)/sqrt(scale), of mean squared length 1: penalties then mean the same for features of
// any scale. With a free intercept the mean changes no minimum.
struct UnitFeatures {
  std::vector<double> values;  // (rows, width) row-major
  std::vector<double> mean;    // (width)
  double scale = 0;            // (1/rows) sum |x - mean|^2
  // The map of unit features as one of the features themselves.
  LinearMap on_features(LinearMap map) const;
};
// Throws Error(input) where all rows are alike.
UnitFeatures unit_features(const Examples& examples);

}  // namespace ntk::finetune
