// `ntk inspect FILE`: any of our files in a few lines.
#pragma once

#include <string>

namespace ntk::app {

// Prints the kind of the file and what it holds. Throws Error(input) for a file of another kind,
// Error(io) for one that cannot be read.
void inspect(const std::string& path);

}  // namespace ntk::app
