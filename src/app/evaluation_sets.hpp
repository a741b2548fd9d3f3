// Evaluation sets as theory takes them: what judges each label set, and their stored kernels.
#pragma once

#include <string>
#include <vector>

#include "base/job.hpp"
#include "spectrum/kernel_sum.hpp"
#include "store/hdf5.hpp"
#include "store/kernel_file.hpp"
#include "theory/summary.hpp"

namespace ntk::app {

// The classes of a set by the training rows' classes, which must have them all; none for targets.
// `outputs` (samples, classes) were taken off the labels, or are empty.
theory::ClassTruth class_truth(const store::SampleTable& training, const store::SampleTable& set,
                               const std::vector<double>& outputs);

// What a set says of each label set of `training`: its references, else its own labels of the same
// number (targets) or name (classes). `inputs` has all that is known of the training rows, but for
// the evaluation sets.
std::vector<theory::EvaluationLabels> evaluation_labels(const theory::TheoryInputs& inputs,
                                                        const store::SampleTable& training,
                                                        const store::SampleTable& set,
                                                        const std::vector<double>& outputs,
                                                        std::int64_t output_columns);

// All sets of the kernel file: their part of the weighted sum `terms` against inputs.subset, and
// the product of the spectrum at `place` (/NAME/centred). Throws Error(io) for a spectrum without
// products.
std::vector<theory::EvaluationSet> read_evaluation_sets(const store::KernelReader& kernel,
                                                        hid_t spectrum, const std::string& place,
                                                        const std::vector<spectrum::Term>& terms,
                                                        const store::SampleTable& training,
                                                        const theory::TheoryInputs& inputs);

}  // namespace ntk::app
