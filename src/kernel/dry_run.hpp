// A kernel stage's tasks on a device that only counts: what they would hold and compute.
#pragma once

#include <functional>
#include <vector>

#include "device/counting_backend.hpp"
#include "kernel/inputs.hpp"
#include "kernel/schedule.hpp"

namespace ntk::kernel {

struct DryRun {
  std::size_t device_bytes = 0;   // most that is held at a time, what the pool keeps for later too
  std::size_t operand_bytes = 0;  // most of it that formed gradients take
  device::Counts counts;
};

// Runs `tasks` one after the other, as one rank does; `keeps` says of which the records are kept.
// Weights are not read. Error(resources) where the real run would meet the device's limit.
DryRun dry_run(const KernelInputs& inputs, const ComputeDevice& device, int ranges,
               const std::vector<const Task*>& tasks,
               const std::function<bool(const Task&)>& keeps);

}  // namespace ntk::kernel
