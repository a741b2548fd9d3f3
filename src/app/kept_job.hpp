// run.toml: the job that made what lies in a run directory.
#pragma once

#include "app/verbs.hpp"
#include "base/job.hpp"

namespace ntk::app {

// The job that run.toml holds after `stage` (not `run`) ended well with `job`, from the one
// `stored` there (null: none). A stage answers for its own tables, the kernel for [run], [model],
// [data] and [kernel]: a spectrum made with another job file does not replace the kernel's job.
Job kept_job(const Job* stored, const Job& job, Stage stage);

// Serial. Brings run.toml in `run.directory` up to date. Never throws: a file that cannot be
// written is a warning.
void keep_job(const Job& job, Stage stage);

}  // namespace ntk::app
