// JSON from files that we did not write.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace ntk::model {

// Parses one JSON object. Beyond what the parser demands (UTF-8, nothing after the object), the
// text must begin with '{', no object may have a key twice, and nesting is limited to 16 levels.
// Throws Error(input) whose text begins with `what`, the file's description.
nlohmann::json parse_strict_json(std::string_view text, const std::string& what);

// The content of a whole small file. Throws Error(input) when there is no such file or it is larger
// than `limit` bytes, Error(io) when reading fails.
std::string read_small_file(const std::string& path, std::size_t limit = 64 << 20);

}  // namespace ntk::model
