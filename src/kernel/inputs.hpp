// Everything a kernel job needs, resolved from the job file before any arithmetic: the model, the
// samples in their order, and the settings that fix the bits.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <vector>

#include "base/job.hpp"
#include "jacobian/settings.hpp"
#include "kernel/compute_device.hpp"
#include "kernel/outputs.hpp"
#include "kernel/panels.hpp"
#include "model/model.hpp"

namespace ntk::kernel {

// What a probe head is fitted on: rows of the training file.
struct ProbeRows {
  SampleSet samples;
  store::SampleTable table;
};

struct KernelInputs {
  model::ModelDescription model;
  Panels panels;
  std::vector<store::SampleTable> tables;  // of every set
  OutputMode outputs;
  Groups groups;
  jacobian::Settings settings;
  nlohmann::json data_sha256;  // set ("" = training) -> hash
  std::optional<ProbeRows>
      probe{};  // with model.head = "probe", whose head is 0 until it is fitted
};

// Reads model and data and checks them against each other and the job. Local to a rank. Throws
// Error(usage) or Error(input).
KernelInputs read_kernel_inputs(const Job& job, const ComputeDevice& device);

}  // namespace ntk::kernel
