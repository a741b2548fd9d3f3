// What fits into the memory of a rank. Only residency follows from it, never bits.
#pragma once

#include "base/job.hpp"
#include "kernel/compute_device.hpp"
#include "kernel/inputs.hpp"
#include "kernel/operations.hpp"
#include "kernel/schedule.hpp"

namespace ntk::kernel {

// Bytes of weights that a rank holds in numbers of `real` bytes. With `in_place`, those that are
// used in the mapped file are not counted.
double weight_bytes(const model::ModelDescription& model, std::size_t real, bool in_place);

class MemoryPlan {
 public:
  // Error(resources) when a pair of panels does not fit into the device's memory, naming what makes
  // it smaller.
  MemoryPlan(const Job& job, const KernelInputs& inputs, const Operations& operations,
             const ComputeDevice& device);

  // How many panels a task may touch.
  int largest_panels() const { return largest_panels_; }
  // Whether the records of all segments of a task's panels fit beside everything else.
  bool keeps_records(const Task& task) const;

 private:
  double tiles(double count) const { return count * tile_ + finished_tile_; }

  double panel(int p) const { return operations_.panel_bytes(p, real_, operand_); }
  double workspace(const KernelInputs& inputs) const;

  const Operations& operations_;
  std::size_t real_, operand_;           // bytes of a number, and of a formed one
  double memory_ = 0;                    // beside the weights and workspaces
  double tile_ = 0, finished_tile_ = 0;  // bytes of the largest tile: summed, and on the host
  int largest_panels_ = 0;
};

}  // namespace ntk::kernel
