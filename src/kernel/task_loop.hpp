// A rank's tasks one after the other, and what is said of them at the end.
#pragma once

#include <mpi.h>

#include <functional>
#include <nlohmann/json.hpp>

#include "kernel/compute_device.hpp"
#include "kernel/inputs.hpp"
#include "store/kernel_file.hpp"

namespace ntk::kernel {

// Told, on the first rank, of the units journalled by all ranks since the start.
using Counted = std::function<void(std::int64_t units)>;

// Collective. Computes what `writer` has not got yet, or as much of it as is done when a stop is
// asked for (base/stop.hpp); unfinished tasks are dropped. Returns what summary.json says of it:
// timings (seconds), tiles, share, floor, floor_ratio, gemm_rate (operations a second, all ranks),
// device_memory_gib (the most that a rank held on its device).
nlohmann::json run_tasks(MPI_Comm comm, const Job& job, const Resources& resources,
                         const ComputeDevice& device, const KernelInputs& inputs,
                         store::KernelWriter& writer, const Counted& counted);

}  // namespace ntk::kernel
