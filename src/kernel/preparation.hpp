// What is settled about a kernel job before any arithmetic: what would end it, and what its file
// will hold. The kernel stage acts on it; `ntk plan` tells of it.
#pragma once

#include <mpi.h>

#include <memory>
#include <nlohmann/json.hpp>

#include "base/job.hpp"
#include "kernel/compute_device.hpp"
#include "kernel/inputs.hpp"
#include "kernel/probe_head.hpp"
#include "kernel/schedule.hpp"
#include "store/kernel_file.hpp"

namespace ntk::kernel {

// Throws Error(resources) for what would run out of memory, on the first rank the self-check at the
// very end included.
void check_memory(const Job& job, const ComputeDevice& device, const KernelInputs& inputs,
                  int rank);
// Of the self-check alone.
void check_memory_of_check(const Job& job, const ComputeDevice& device, const KernelInputs& inputs);

// Finds what would end the work, before any is done and before a file is laid out: that of a
// refused job would stand in the way of the corrected one, which has another identity. Memory is
// looked at unless the file that was found is complete; weights, which the first rank reads, unless
// it is begun: it was laid out for weights that passed. Throws Error(resources) or Error(input).
void check_first(const Job& job, const ComputeDevice& device, const KernelInputs& inputs, int rank,
                 store::FileState found);

// How tasks are cut for ranks of which the slowest multiplies at `rate` and may touch `panels`
// panels in a task. They take kernel.task_seconds at the most; where that is 0, 120 s usually, and
// at the most an eighth of the `seconds` that the run may take, so that one that is cut short gets
// on.
ScheduleLimits schedule_limits(const Job& job, int ranks, int panels, double rate, double seconds);

// Whether the finished matrices are mirrored: as the job says, or unless they would take more than
// 32 GiB.
bool wants_mirror(const Job& job, const KernelInputs& inputs);

// The kernel file of the job; `identity` as kernel_identity gives it, `provenance` for its root
// attributes.
store::KernelSpec make_spec(const Job& job, const KernelInputs& inputs,
                            const nlohmann::json& identity, const nlohmann::json& provenance);

// A job with all that follows from it.
struct SettledJob {
  Job job;
  ComputeDevice device;
  std::unique_ptr<const KernelInputs> inputs;
  store::KernelSpec spec;
};

// Collective. Chooses the device (`recorded` as for choose_device), reads model and data, finds or
// fits (by `fit`) a probe head, and makes sure that all ranks have the same.
SettledJob settle(MPI_Comm comm, const Job& job, const Resources& resources,
                  const nlohmann::json& provenance, const std::vector<std::string>& recorded,
                  const HeadFit& fit);
// Collective, when there is something to compute: takes a device of the recorded kind that is here.
void settle_on_device(MPI_Comm comm, SettledJob& settled, const Resources& resources,
                      const nlohmann::json& provenance, const HeadFit& fit);

}  // namespace ntk::kernel
