// The labels that theory works with: the kernel's own, or those of a file (theory.targets).
#pragma once

#include <optional>
#include <string>

#include "base/job.hpp"
#include "data/data_file.hpp"
#include "spectrum/stage.hpp"
#include "store/kernel_file.hpp"

namespace ntk::app {

struct Labels {
  store::SampleTable samples;  // of the kernel's training samples
  std::string file, sha256;    // where they come from; empty: the kernel
  // The group of the spectrum with their projections.
  std::string projections;
  // What the spectrum stage has to project; nothing for the kernel's own.
  std::optional<spectrum::GivenLabels> given() const;
};

// The samples of a kernel with labels, noise variances and references of `file` in place of their
// own, matched by source_row, and its groups where it has some. Throws Error(input) for a file
// without source rows or that lacks some of the kernel's samples, Error(usage) for labels that do
// not fit its outputs.
store::SampleTable with_labels(const store::SampleTable& samples, const data::DataFile& file,
                               std::int64_t rows_per_sample);

// Those of job.theory.targets, or the kernel's own. Throws what data::read_data and with_labels do.
Labels labels_in_force(const Job& job, const store::KernelReader& kernel);

}  // namespace ntk::app
