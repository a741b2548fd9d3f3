// Where a rank computes its part of the kernel.
#pragma once

#include <mpi.h>

#include <cmath>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/job.hpp"
#include "device/backend.hpp"
#include "device/precision.hpp"

namespace ntk::kernel {

struct Resources {
  int threads = 1;            // of this rank
  std::size_t memory = 0;     // bytes of the host that are this rank's share; 0 = not limited
  double seconds = HUGE_VAL;  // that the run may take, the same on every rank
};

struct ComputeDevice {
  device::Kind kind = device::Kind::cpu;
  device::Precision precision = device::Precision::fp32;
  std::size_t memory = 0;   // bytes the kernel stage may use there; 0 = not limited
  std::size_t host = 0;     // the same of the host, for the self-check
  int index = 0;            // of the GPU among those this rank sees
  bool recorded = false;    // that of an existing file: no tile may be computed with it
  nlohmann::json hardware;  // its part of the kernel's identity
};

// Collective. The device of `kernel.device`: on `auto` that of the first of the `recorded` kernel
// files that can be read, of which nothing is left to compute, else the GPU when there is one. A
// GPU goes to the rank with the same number within its node; a rank that sees only one takes that.
// Prints who has what. Throws AgreedError(resources) when there is none or several ranks would
// share one without `kernel.share_gpu`, AgreedError(usage) for a precision that the device does not
// have.
ComputeDevice choose_device(MPI_Comm comm, const Job& job, const Resources& resources,
                            const std::vector<std::string>& recorded);

// Local. A GPU with so many bytes, each for a rank of its own, that is not here: what there is to
// know of it without one. Its hardware keys are not known.
ComputeDevice imagined_gpu(const Job& job, const Resources& resources, double bytes);

// Keys of a kernel's identity that follow from the device; kernel.allow_other_hardware sets them
// free. Chunks and blocks are larger on a GPU.
extern const std::vector<std::string> hardware_keys;

// Local. Real is double for fp64 and float otherwise.
template <class Real>
std::unique_ptr<device::Backend<Real>> make_backend(const ComputeDevice& device, int threads);

}  // namespace ntk::kernel
