// Memory of this process and what the system lets it have.
#pragma once

#include <cstddef>
#include <string>

namespace ntk {

inline constexpr double gib = 1024.0 * 1024.0 * 1024.0;  // bytes

// Bytes that processes of this node may still take: /proc/meminfo's MemAvailable, or what is left
// under the control group's limit (v2 or v1, as batch systems and containers set it) when that is
// less. 0 when nothing can be read. `root` is prepended to all paths.
std::size_t available_memory(const std::string& root = "");

// The largest resident set of this process so far, in bytes; files mapped into it count.
std::size_t peak_resident_memory();

}  // namespace ntk
