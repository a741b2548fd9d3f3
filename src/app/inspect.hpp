// `ntk inspect FILE`: any of our files in a few lines, or one value of a JSON file.
#pragma once

#include <string>

namespace ntk::app {

// Prints the kind of the file and what it holds. Throws Error(input) for a file of another kind,
// Error(io) for one that cannot be read.
void inspect(const std::string& path);

// `ntk inspect FILE --get NAME`: the value of a JSON file at NAME, the names on the way to it
// joined by dots; a text without its quotes. Throws Error(input) for a file of another kind and
// when nothing has this name.
std::string json_value(const std::string& path, const std::string& name);

}  // namespace ntk::app
