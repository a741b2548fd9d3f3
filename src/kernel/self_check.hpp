// Each run measures its own error (design, decision 9): the rows of a seeded draw of samples
// against each other, recomputed in fp64.
#pragma once

#include "kernel/inputs.hpp"

namespace ntk::kernel {

// The drawn training samples, ascending: max(1, 64 / C) of them, at most all.
std::vector<std::int64_t> check_samples(const KernelInputs& inputs, std::int64_t seed);

// How many of them make a panel, so that the check takes at most `memory` bytes (0 = not limited).
// Error(resources) when even single samples do not fit.
std::int64_t check_panel_samples(const KernelInputs& inputs,
                                 const std::vector<std::int64_t>& samples, std::size_t memory);

// What recomputing them takes.
struct CheckPlan {
  double cost = 0;        // weighted operations: divided by the CPU's fp64 GEMM rate, seconds
  std::size_t bytes = 0;  // held at the peak, weights included
};
CheckPlan plan_check(const KernelInputs& inputs, const std::vector<std::int64_t>& samples,
                     std::size_t memory);

// Their kernel rows against each other, in fp64, row-major in the file's row order, within
// `memory` bytes.
std::vector<double> recompute(const KernelInputs& inputs, const std::vector<std::int64_t>& samples,
                              int threads, std::size_t memory);

// The same entries as they are stored. The tiles are whole.
std::vector<double> stored_entries(const KernelInputs& inputs, const store::KernelWriter& writer,
                                   const std::vector<std::int64_t>& samples);

// delta and its companions: `stored` and `exact` have the same entries.
store::MeasuredError measure_error(const std::vector<std::int64_t>& samples,
                                   const std::vector<double>& stored,
                                   const std::vector<double>& exact, double roundoff);

}  // namespace ntk::kernel
