// When a run has to end by itself.
#pragma once

#include <optional>
#include <string>

#include "base/job.hpp"
#include "parallel/watcher.hpp"

namespace ntk::app {

// Seconds since 1970 of a local time as Slurm prints it, 2026-01-31T23:59:59; nothing for other
// texts (Slurm's "N/A" of a job without limit).
std::optional<double> slurm_time(const std::string& text);

// First rank, at the start of a run: what it has to mind. run.max_hours ends at 99 % of itself, the
// Slurm job (where Slurm tells its end) at 90 % of what is left of it, but 25 to 60 s before its
// end.
parallel::Watcher::Limits find_limits(const Job& job);

}  // namespace ntk::app
