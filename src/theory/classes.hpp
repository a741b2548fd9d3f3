// Error rates: the class that a fit gives a sample is the one of its largest prediction.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "theory/rule_risks.hpp"

namespace ntk::theory {

// The classes of samples.
struct ClassTruth {
  std::size_t classes = 0;          // 0: there are none
  std::vector<std::int32_t> label;  // of each sample, in [0, classes)
  // (samples, classes) row-major: what was taken off the labels and belongs to the prediction (f_0
  // where it is kept); empty: nothing.
  std::vector<double> offset;
};
ClassTruth at_samples(const ClassTruth& truth, std::span<const std::size_t> samples);

struct ErrorRate {
  std::string rule;
  double rate = 0;            // share of the samples in the wrong class
  std::vector<double> parts;  // on each part
};

// From what each rule predicts of the classes' indicators on the samples of `truth`: one label set
// a class with a prediction a sample (one against the rest, each stopped by itself), or one label
// set with predictions (samples, classes). Of equal predictions the first class counts. Label sets
// that could not be learned are empty: their constant is predicted, `means` (one a class, or those
// of all classes in the one label set). Rules that some label set lacks are left out; nothing where
// no label set could be learned. `part` is of each sample.
std::vector<ErrorRate> error_rates(const ClassTruth& truth, std::span<const std::size_t> part,
                                   std::span<const std::vector<RuleRisk>> by_label,
                                   std::span<const std::vector<double>> means);

}  // namespace ntk::theory
