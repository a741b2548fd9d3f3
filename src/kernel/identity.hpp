// What makes two kernel jobs the same (design, decision 4): their tiles may lie in one file.
#pragma once

#include <mpi.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "kernel/compute_device.hpp"
#include "kernel/inputs.hpp"

namespace ntk::kernel {

// The job's identity; the weights' hash, which is expensive, is given.
nlohmann::json kernel_identity(const Job& job, const KernelInputs& inputs,
                               const ComputeDevice& device, const std::string& weights_sha256);
// What a probe head follows from: the body's part of the identity, and the rows it is fitted on.
nlohmann::json probe_recipe(const Job& job, const KernelInputs& inputs,
                            const std::string& weights_sha256);
// Collective. A tile's bits must not depend on who computed it: all ranks must see the same files
// and have the same arithmetic. (Of the weights the first rank's hash stands for all.) Throws
// AgreedError(usage).
void agree_on_identity(MPI_Comm comm, const nlohmann::json& identity, bool other_hardware);

}  // namespace ntk::kernel
