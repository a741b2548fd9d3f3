#include "app/evaluation_sets.hpp"

#include <algorithm>

#include "base/error.hpp"
#include "theory/resampling.hpp"

namespace ntk::app {

namespace h5 = store::h5;
using theory::EvaluationLabels;
using theory::NoiseSource;

namespace {

EvaluationLabels missing_labels(std::string why) {
  EvaluationLabels none;
  none.missing = std::move(why);
  return none;
}

// For each class of the set its place among the training rows' classes; -1: it has none.
std::vector<std::int64_t> places_of(const store::SampleTable& set,
                                    const store::SampleTable& training) {
  std::vector<std::int64_t> places;
  for (const auto& name : set.classes) {
    const auto found = std::find(training.classes.begin(), training.classes.end(), name);
    places.push_back(found == training.classes.end() ? -1 : found - training.classes.begin());
  }
  return places;
}

// Indicators of class `one` of the training rows, or with rows for all classes of each of them.
EvaluationLabels of_classes(const store::SampleTable& training, const store::SampleTable& set,
                            std::int64_t rows_per_sample, std::size_t one) {
  if (set.label.empty()) return missing_labels("it has no classes");
  const auto places = places_of(set, training);
  if (const auto other = std::find(places.begin(), places.end(), -1); other != places.end()) {
    return missing_labels("its class " +
                          set.classes[static_cast<std::size_t>(other - places.begin())] +
                          " is none of the training rows'");
  }
  EvaluationLabels labels;
  for (const auto label : set.label) {
    const auto place = static_cast<std::size_t>(places.at(static_cast<std::size_t>(label)));
    if (rows_per_sample == 1) {
      labels.reference.push_back(place == one);
    } else {
      for (std::size_t c = 0; c < training.classes.size(); ++c) {
        labels.reference.push_back(place == c);
      }
    }
  }
  return labels;
}

EvaluationLabels of_targets(const theory::TheoryInputs& inputs, const store::SampleTable& set,
                            std::size_t one) {
  EvaluationLabels labels;
  if (!set.reference.empty()) {
    labels.by_reference = labels.excess = true;
    labels.reference = set.reference;
    labels.reference_variance = set.reference_variance;
    return labels;
  }
  const auto sets = static_cast<std::size_t>(set.label_sets);
  if (set.target.empty()) return missing_labels("it has no targets");
  if (one >= sets) return missing_labels(fmt::format("it has {} label set(s) only", sets));
  for (std::size_t i = one; i < set.target.size(); i += sets) {
    labels.reference.push_back(set.target[i]);
  }
  if (inputs.noise_source == NoiseSource::data && !set.noise_variance.empty()) {
    const auto noise_sets = static_cast<std::size_t>(set.noise_sets);
    for (std::size_t i = noise_sets > 1 ? one : 0; i < set.noise_variance.size(); i += noise_sets) {
      labels.reference_variance.push_back(set.noise_variance[i]);
    }
    labels.excess = true;
  }
  return labels;
}

std::vector<double> subset_columns(const store::KernelReader& kernel, const std::string& set,
                                   const std::vector<spectrum::Term>& terms,
                                   const std::vector<std::int64_t>& columns) {
  const std::int64_t n = kernel.order(), rows = kernel.evaluate_rows(set), height = 64;
  const std::size_t m = columns.size();
  std::vector<double> matrix(static_cast<std::size_t>(rows) * m, 0.0);
  std::vector<double> strip(static_cast<std::size_t>(height * n));
  for (const auto& term : terms) {
    for (std::int64_t start = 0; start < rows; start += height) {
      const std::int64_t count = std::min(height, rows - start);
      kernel.read_evaluate_block(set, term.dataset, start, 0, count, n, strip.data());
      for (std::int64_t i = 0; i < count; ++i) {
        for (std::size_t j = 0; j < m; ++j) {
          matrix[static_cast<std::size_t>(start + i) * m + j] +=
              term.weight * strip[static_cast<std::size_t>(i * n + columns[j])];
        }
      }
    }
  }
  return matrix;
}

}  // namespace

theory::ClassTruth class_truth(const store::SampleTable& training, const store::SampleTable& set,
                               const std::vector<double>& outputs) {
  theory::ClassTruth truth;
  if (!training.target.empty() || training.label.empty()) return truth;
  truth.classes = training.classes.size();
  const auto places = places_of(set, training);
  for (const auto label : set.label) {
    truth.label.push_back(static_cast<std::int32_t>(places.at(static_cast<std::size_t>(label))));
  }
  truth.offset = outputs;
  return truth;
}

std::vector<EvaluationLabels> evaluation_labels(const theory::TheoryInputs& inputs,
                                                const store::SampleTable& training,
                                                const store::SampleTable& set,
                                                const std::vector<double>& outputs,
                                                std::int64_t output_columns) {
  const bool classes = training.target.empty();
  std::vector<EvaluationLabels> all;
  for (std::size_t one = 0; one < inputs.labels.size(); ++one) {
    auto labels = classes ? of_classes(training, set, inputs.rows_per_sample, one)
                          : of_targets(inputs, set, one);
    const std::size_t rows = labels.reference.size();
    if (!labels.by_reference && inputs.noise_source == NoiseSource::number) {
      labels.reference_variance.assign(rows, inputs.noise_number);
      labels.excess = true;
    }
    if (labels.reference_variance.empty()) labels.reference_variance.assign(rows, 0.0);
    if (inputs.f0_kept) {  // as with the training labels
      const bool single = inputs.rows_per_sample == 1;
      const auto width = static_cast<std::size_t>(single ? output_columns : 1);
      const std::size_t column = single && classes ? one : 0;
      for (std::size_t i = 0; i < rows; ++i) labels.reference[i] -= outputs[i * width + column];
    }
    all.push_back(std::move(labels));
  }
  return all;
}

std::vector<theory::EvaluationSet> read_evaluation_sets(const store::KernelReader& kernel,
                                                        hid_t spectrum, const std::string& place,
                                                        const std::vector<spectrum::Term>& terms,
                                                        const store::SampleTable& training,
                                                        const theory::TheoryInputs& inputs) {
  std::vector<theory::EvaluationSet> sets;
  if (inputs.labels.empty()) return sets;
  for (const auto& name : kernel.evaluate_sets()) {
    const std::string path = place + "/evaluate/" + name;
    require(h5::exists(spectrum, path), ExitCode::io,
            "the spectrum has no {} (it was made without projections) run `ntk theory`, which "
            "makes them",
            path);
    const auto samples = kernel.samples(name);
    theory::EvaluationSet set;
    set.name = name;
    set.rows = static_cast<std::size_t>(kernel.evaluate_rows(name));
    set.grouped = !samples.group.empty();
    set.outputs = static_cast<std::size_t>(inputs.rows_per_sample);
    set.part = theory::parts_of_rows(set.rows / set.outputs, samples.group, inputs.seed);
    const auto outputs = kernel.outputs(name);
    set.labels = evaluation_labels(inputs, training, samples, outputs, kernel.output_columns());
    if (std::all_of(set.labels.begin(), set.labels.end(),
                    [](const auto& labels) { return labels.missing.empty(); })) {
      set.truth = class_truth(training, samples, inputs.f0_kept ? outputs : std::vector<double>());
    }
    set.product = h5::read<double>(spectrum, path,
                                   h5::Dims{static_cast<std::int64_t>(set.rows), kernel.order()});
    set.kernel = subset_columns(kernel, name, terms, inputs.subset);
    sets.push_back(std::move(set));
  }
  return sets;
}

}  // namespace ntk::app
