// The words that a run ends with.
#pragma once

#include <string>

#include "base/error.hpp"

namespace ntk::app {

// The word of the STATUS line for an exit code.
const char* status_word(ExitCode code);

// The last line of a run, on standard output; returns the code as a number. From one rank.
int say_status(ExitCode code);

// What a job ends with, and the STATUS line. A rank that ends it `alone` says which it is. A stop
// that was asked for is no error.
int say_end(ExitCode code, const std::string& message, bool alone);

}  // namespace ntk::app
