// The spectrum stage: kernel.h5 -> spectrum.h5 (docs/file-format.md).
#pragma once

#include <mpi.h>

#include <nlohmann/json.hpp>
#include <string>

#include "base/job.hpp"
#include "store/kernel_file.hpp"

namespace ntk::spectrum {

// spectrum.method = "auto" means "full" up to this order and "leading" beyond it.
inline constexpr std::int64_t auto_full_order = 20'000;

// Labels that are projected beside the kernel's own, into `projections-MARK`.
struct GivenLabels {
  store::SampleTable samples;  // of the kernel's training samples
  std::string mark;            // of the file that they come from
};

// The group of /KERNEL/{raw, centred} that holds projections: of the kernel's own labels with an
// empty mark.
std::string projections_group(const std::string& mark);
// The group beside it, of the matrix times the fields, where not all pairs are computed.
std::string products_group(std::string projections);

// Collective over `comm`. Computes the spectra of K/n of every kernel in options.kernels, raw and
// centred as asked, checks them, and writes `spectrum_path` (under a temporary name first). With
// `projections` all vectors are computed and their products with labels, outputs and evaluation
// kernels stored. Uses as many ranks as make a near-square grid; the others wait asleep. One rank
// may solve on a GPU (gpu.hpp).
//
// Does nothing when the file is there, complete, made from the same kernel file with the same
// options, and has projections if they are asked for, those of `given` labels (the same on every
// rank) included; the result then has "reused": true.
//
// Returns, on every rank, {reused, order, grid: {rows, columns, idle, block}, kernels: {NAME:
// {raw, centred: {n, method, device, trace, frobenius, l_1, share_1 (l_1 / trace), resolved, delta,
// floor_independent, floor_correlated, checks}}}, seconds: {load, solve, check, project, write}}.
// Values are of K/n. Throws Error(usage) for options that do not fit the kernel file, Error(io),
// Error(resources), Error(numerical).
nlohmann::json run_spectrum(MPI_Comm comm, const Job::Spectrum& options, bool projections,
                            const std::string& kernel_path, const std::string& spectrum_path,
                            const GivenLabels* given = nullptr);

}  // namespace ntk::spectrum
