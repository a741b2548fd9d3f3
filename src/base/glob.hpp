// Glob patterns over tensor names.
#pragma once

#include <string_view>

namespace ntk {

// Whether the whole of `text` matches `pattern`: '*' stands for any run of characters (dots and
// slashes too), '?' for exactly one, everything else for itself.
bool glob_match(std::string_view pattern, std::string_view text);

}  // namespace ntk
