// `ntk kernel`: from a job to kernel.h5.
#pragma once

#include <mpi.h>

#include <nlohmann/json.hpp>

#include "base/job.hpp"
#include "kernel/compute_device.hpp"

namespace ntk::kernel {

// Collective. Writes RUN/kernel.h5 and RUN/head.safetensors, or finds them complete. Returns what
// summary.json says of the stage: timings (seconds), share, floor_ratio, gemm_rate (operations a
// second, all ranks), measured error. `provenance` goes into the file's root attributes.
nlohmann::json run_kernel(MPI_Comm comm, const Job& job, const Resources& resources,
                          const nlohmann::json& provenance);

}  // namespace ntk::kernel
