// The operations of a kernel's tasks by stage and by kind of site, from shapes alone (a
// multiply-add counts 2): what is needed, symmetric work once, by the methods that the job will
// use.
#pragma once

#include <functional>
#include <vector>

#include "kernel/inputs.hpp"
#include "kernel/schedule.hpp"

namespace ntk::kernel {

struct OperationTable {
  // Making panels ready, in every task that touches them.
  double forward = 0;    // forward passes
  double recompute = 0;  // records made again on the way back, where they are not kept
  double backward = 0;   // a pass an output
  double forming = 0;    // gradients of linear maps that are contracted explicitly
  // Contraction.
  double explicit_ = 0;   // linear maps, by gradients
  double structured = 0;  // linear maps, by factors
  double vectors = 0;     // biases and norms
  double lookups = 0;     // tables, as if every pair of samples shared one id

  double building() const { return forward + recompute + backward + forming; }
  double contraction() const { return explicit_ + structured + vectors + lookups; }
  double total() const { return building() + contraction(); }
};

// Of tiles, by the cheapest method for every site: what is useful of a contraction.
double useful_contraction(const Panels& panels, const Operations& operations,
                          const std::vector<store::Unit>& units, int ranges);
// One forward pass and a backward pass an output over every panel that some task touches.
double least_passes(const std::vector<Task>& tasks, const Operations& operations);

// Of `tasks`; `keeps` says of which the records are kept.
OperationTable count_operations(const KernelInputs& inputs, int ranges,
                                const std::vector<Task>& tasks,
                                const std::function<bool(const Task&)>& keeps);

}  // namespace ntk::kernel
