// The theory stage: spectrum.h5 and kernel.h5 -> theory.json and a short table.
#pragma once

#include <mpi.h>

#include <nlohmann/json.hpp>
#include <string>

#include "app/labels.hpp"
#include "base/job.hpp"
#include "store/hdf5.hpp"
#include "store/kernel_file.hpp"
#include "theory/summary.hpp"

namespace ntk::app {

inline constexpr const char* theory_format = "ntkspectra-theory";
inline constexpr int theory_format_version = 4;

// Sub-matrices (norm growth, learning curves) are taken of at most this many rows, those of a
// seeded draw of samples.
inline constexpr std::int64_t theory_measured_rows = 4096;

// What theory_summary needs of one kernel of the spectrum file: NAME as in [spectrum] kernels, its
// weighted sum of groups in job.spectrum.kernels. Labels are the targets, or the classes' one-hot
// vectors; with theory.f0 = "keep" the outputs are taken off labels and references. Throws
// Error(usage) for settings that do not fit the data, Error(io) for a spectrum without what is
// needed.
theory::TheoryInputs read_theory_inputs(const Job& job, const std::string& name,
                                        const store::KernelReader& kernel, hid_t spectrum,
                                        const Labels& labels);

// Collective. Reads `run.directory`/{kernel.h5, spectrum.h5} and theory.targets, writes theory.json
// beside them and prints its table. A theory.json made of the same spectrum with the same settings
// is printed and returned as it is, with "reused": true. Learning curves are kept point by point in
// theory.points/ until theory.json is there. Returns, on the first rank, {format, format_version,
// fingerprint, settings, kernels: {NAME: theory_summary with "learning_curves"}, targets, reused};
// elsewhere without the kernels.
nlohmann::json run_theory(MPI_Comm comm, const Job& job);

}  // namespace ntk::app
