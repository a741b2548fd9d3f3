// The one table of job-file keys: reading, checking, writing and the commented default file are
// all made from it.
#pragma once

#include <vector>

#include "base/job_key.hpp"

namespace ntk {

// In the order of the file; the keys of a section stand together.
const std::vector<JobKey>& job_keys();

// The defaults. They differ from Job{} in that the embedding tables are left out.
Job default_job();

}  // namespace ntk
