// Where a probe head comes from: the run directory, where it was fitted before, or a fit. The fit
// itself is given, as a module of its own makes it.
#pragma once

#include <mpi.h>

#include <functional>
#include <nlohmann/json.hpp>

#include "base/job.hpp"
#include "kernel/inputs.hpp"

namespace ntk::kernel {

// Collective: fits a head on inputs.probe and returns it on every rank; `record` (on the first one)
// tells how, as a JSON object.
using HeadFit = std::function<model::Head(MPI_Comm, const Job&, const KernelInputs&)>;

// Collective. The head of RUN/head.safetensors where it was fitted by this `recipe`
// (kernel/identity.hpp), else a fitted one, whose record then has {"recipe", "source_rows"} too.
// Fitting again gives the same bits on the same hardware; taking it from the file, on any. Throws
// AgreedError(usage) where the directory holds a kernel with a head that was fitted otherwise.
model::Head probe_head(MPI_Comm comm, const Job& job, const KernelInputs& inputs,
                       const nlohmann::json& recipe, const HeadFit& fit);

// Root attributes of a kernel whose head was fitted (by this job, or before it came from a file):
// `head.probe`, its record without what is told row by row, and `head.fitted_samples`, how many of
// the kernel's samples it was fitted on. Nothing for other heads. Throws Error(input) for a head
// file whose record makes no sense.
nlohmann::json head_provenance(const KernelInputs& inputs);

// The same as one object, for summary.json; null for other heads.
nlohmann::json head_summary(const KernelInputs& inputs);

}  // namespace ntk::kernel
