// summary.json: what a run did, for people and scripts.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "base/error.hpp"

namespace ntk::app {

// "2026-01-31T12:00:00Z"
std::string utc_now();

// Adds status and end to `summary` and writes DIRECTORY/summary.json under a temporary name first.
// Never throws: a summary that cannot be written is a warning.
void write_summary(const std::string& directory, nlohmann::json summary, ExitCode code,
                   const std::string& message);

// The word of the STATUS line for an exit code.
const char* status_word(ExitCode code);

}  // namespace ntk::app
