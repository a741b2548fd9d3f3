// `ntk kernel` and `ntk merge`: from a job to kernel.h5.
#pragma once

#include <mpi.h>

#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "base/job.hpp"
#include "kernel/compute_device.hpp"
#include "kernel/probe_head.hpp"
#include "kernel/shares.hpp"
#include "store/run_lock.hpp"

namespace ntk::kernel {

// What is asked for beside the job itself.
struct KernelRequest {
  std::optional<Share> share;  // computes that part alone, into a file of its own
  bool verify = false;         // checks a complete file, and makes anew what is damaged in it
  bool merge = false;          // takes the tiles of all shares and computes none
  bool remove_shares = false;  // when the kernel is complete
  HeadFit fit;                 // of model.head = "probe"
};

// Collective. Writes RUN/kernel.h5 and RUN/head.safetensors, or finds them complete. Returns what
// summary.json says of the stage: units, timings (seconds), share, floor_ratio, gemm_rate
// (operations a second, all ranks), measured error. `provenance` goes into the file's root
// attributes. The first rank takes `lock` before it touches the file, and from then on calls `tell`
// with what summary.json can say of the unfinished stage: {units, units_done}. AgreedError(stopped)
// when a stop was asked for (base/stop.hpp), and by a merge that lacks tiles.
nlohmann::json run_kernel(MPI_Comm comm, const Job& job, const Resources& resources,
                          const nlohmann::json& provenance, const KernelRequest& request,
                          store::RunLock& lock,
                          const std::function<void(const nlohmann::json&)>& tell);

}  // namespace ntk::kernel
