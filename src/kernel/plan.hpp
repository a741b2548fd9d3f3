// A kernel stage before it runs: what it would compute, hold, write and take. Nothing is computed,
// no weights are read, no file is changed.
#pragma once

#include <vector>

#include "kernel/inputs.hpp"
#include "kernel/memory_plan.hpp"
#include "kernel/operation_table.hpp"
#include "kernel/rates.hpp"
#include "kernel/self_check.hpp"
#include "store/file_plan.hpp"

namespace ntk::kernel {

// Bytes of the busiest rank at the peak. Where the device is the CPU its memory is the host's.
struct MemoryParts {
  double program = 0;    // libraries, MPI, the samples: resident before the stage begins
  double weights = 0;    // mapped from the file (shared by a node's ranks) and, where they are
                         // converted, copied
  double panels = 0;     // values, records and cotangents of a task's panels
  double gradients = 0;  // formed slices
  double tiles = 0;      // being summed
  double copies = 0;     // of finished tiles, on the host
  double check = 0;      // the self-check of the first rank, beyond all that
  double host = 0, device = 0;  // sums; device = 0 when it is the host
};

// Seconds.
struct StageTimes {
  double start = 0;   // hashing and checking the weights
  double memory = 0;  // first touching it, within `kernel`
  double kernel = 0;  // the tasks, from the first to the last rank's last
  double check = 0;
  double finish = 0;  // sums over ranges, mirror
  double total() const { return start + kernel + check + finish; }
};

// What depends on the number of ranks.
struct RunPlan {
  int ranks = 1;
  std::vector<Task> tasks;
  int kept_records = 0;  // tasks that keep the records of all segments
  OperationTable operations;
  double useful = 0;      // operations of the contraction by the cheapest methods
  double floor = 0;       // seconds: those, and one forward and backward passes of all panels
  double efficiency = 0;  // floor / kernel seconds
  double idle = 0;        // share of the ranks' time that they wait for the last one
  MemoryParts memory;
  StageTimes seconds;
};

class KernelPlan {
 public:
  // `file` as store::plan_file gives it, `program_bytes` what the process holds already. The
  // arguments must outlive the plan. Error(resources) for what would not fit into memory.
  KernelPlan(const Job& job, const KernelInputs& inputs, const ComputeDevice& device,
             const Rates& rates, const store::FilePlan& file, double program_bytes);

  // Of so many ranks. With `memory` false the peak, which takes the longest to find, stays 0.
  RunPlan run(int ranks, bool memory = true) const;

  std::int64_t units() const { return units_; }            // of all sets and ranges
  std::int64_t units_left() const { return units_left_; }  // that are not there yet

 private:
  MemoryParts peak(const RunPlan& plan) const;
  // For tasks that take so many seconds, on ranks that touch so many bytes.
  StageTimes times(double tasks, double touched) const;

  const Job& job_;
  const KernelInputs& inputs_;
  const ComputeDevice& device_;
  const Rates& rates_;
  const store::FilePlan& file_;
  double program_bytes_;
  Operations operations_;
  MemoryPlan admitted_;
  CheckPlan check_;
  std::int64_t units_ = 0, units_left_ = 0;
};

}  // namespace ntk::kernel
