// What a spectrum would take, from sizes alone: for the stage before it begins, and for `ntk plan`
// before there is a kernel.
#pragma once

#include <cstdint>
#include <vector>

#include "base/job.hpp"
#include "spectrum/block_cyclic.hpp"
#include "spectrum/gpu.hpp"

namespace ntk::spectrum {

// What a spectrum of `order` asks of the machine on so many ranks. Throws as require_possible.
SolveRequest solve_request(const Job::Spectrum& options, bool projections, int ranks,
                           std::int64_t order);

// What a solve keeps in memory.
Work work_of(const SolveRequest& request, bool gpu);

// A kernel's sizes that decide the size of its spectra.
struct KernelSizes {
  std::int64_t order = 0;
  std::int64_t field_columns = 0;           // of all projected quantities
  std::int64_t variance_columns = 0;        // of them those of variances
  std::vector<std::int64_t> evaluate_rows;  // of each evaluation set
};

struct SpectrumPlan {
  SolveRequest request;
  parallel::GridShape shape;
  std::int64_t block = 0;
  Work work = Work::values;
  double bytes = 0;                    // of the busiest rank, at the peak
  std::int64_t local_numbers = 0;      // of its part of the matrix; 32-bit indices allow 2^31 - 1
  std::int64_t workspace_numbers = 0;  // of the solver's workspace, likewise
  int spectra = 0;                     // solves: kernels, raw and centred
  double file_bytes = 0;               // spectrum.h5
  double network_bytes = 0;            // that a rank receives, roughly; all solves
};

// On the CPU. Throws as require_possible and require_32bit.
SpectrumPlan plan_spectrum(const Job::Spectrum& options, bool projections, int ranks,
                           const KernelSizes& kernel);

}  // namespace ntk::spectrum
