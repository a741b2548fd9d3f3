// summary.json: what a run did, for people and scripts.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "base/error.hpp"

namespace ntk::app {

// `summary` with what the run directory's earlier summary tells of stages whose output was used
// again, or was not touched: results and timings of a stage are those of the command that made its
// output. What a stage that was made again has outdated is left out.
nlohmann::json merge_summaries(const nlohmann::json& earlier, nlohmann::json summary);

// Whether two jobs, as text, agree in all that decides what is computed: their models, data,
// kernels and seeds.
bool same_kernel(const std::string& job, const std::string& other);

// Adds status and end to `summary`, merges the earlier one, and writes DIRECTORY/FILE
// (summary.json, or that of a share) under a temporary name of this rank first. Leaves it alone
// when the command failed before it came to its kernel and it is that of another job whose kernel
// lies there. Never throws: a summary that cannot be written is a warning.
void write_summary(const std::string& directory, const std::string& file, nlohmann::json summary,
                   ExitCode code, const std::string& message, int rank);

}  // namespace ntk::app
