// The largest job that would fit.
#pragma once

#include <cstdint>
#include <functional>

#include "base/job.hpp"

namespace ntk::app {

// What decides how large a kernel file is.
struct KernelSize {
  int matrices = 1;  // total and groups
  int bytes = 8;     // of a stored number
  int ranges = 1;
  std::int64_t evaluate_rows = 0;
  Job::Kernel::Mirror mirror = Job::Kernel::Mirror::automatic;

  // Bytes written for a kernel of so many rows.
  double of(std::int64_t rows) const;
};

inline constexpr std::int64_t largest_possible = std::int64_t{1} << 40;

// The largest number of samples that `fits`, 0 when none does; at most `largest_possible`. What
// fits may begin anew once, where the job changes its method.
std::int64_t largest_samples(const std::function<bool(std::int64_t)>& fits);

}  // namespace ntk::app
