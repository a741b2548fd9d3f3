// `ntk kernel`: from a job to kernel.h5.
#pragma once

#include <mpi.h>

#include <functional>
#include <nlohmann/json.hpp>

#include "base/job.hpp"
#include "kernel/compute_device.hpp"
#include "store/run_lock.hpp"

namespace ntk::kernel {

// Collective. Writes RUN/kernel.h5 and RUN/head.safetensors, or finds them complete. Returns what
// summary.json says of the stage: units, timings (seconds), share, floor_ratio, gemm_rate
// (operations a second, all ranks), measured error. `provenance` goes into the file's root
// attributes. The first rank takes `lock` before it touches the file, and from then on calls `tell`
// with what summary.json can say of the unfinished stage: {units, units_done}. AgreedError(stopped)
// when a stop was asked for (base/stop.hpp).
nlohmann::json run_kernel(MPI_Comm comm, const Job& job, const Resources& resources,
                          const nlohmann::json& provenance, store::RunLock& lock,
                          const std::function<void(const nlohmann::json&)>& tell);

}  // namespace ntk::kernel
