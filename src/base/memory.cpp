#include "base/memory.hpp"

#include <algorithm>
#include <fstream>
#include <limits>
#include <optional>

namespace ntk {
namespace {

// The number behind `key` in a file of "key number ..." lines, in units of `unit` bytes.
std::optional<std::size_t> entry(const std::string& path, const std::string& key,
                                 std::size_t unit) {
  std::ifstream file(path);
  for (std::string word; file >> word;) {
    std::size_t value = 0;
    if (word == key && file >> value) return value * unit;
    file.ignore(std::numeric_limits<std::streamsize>::max(), '\n');
  }
  return std::nullopt;
}

std::optional<std::size_t> number(const std::string& path) {
  std::ifstream file(path);
  std::size_t value = 0;
  if (file >> value) return value;
  return std::nullopt;
}

// What is left under a control group's limit; pages of files can be given back.
std::optional<std::size_t> left(const std::string& group, const char* limit, const char* usage,
                                const char* file_pages) {
  const auto most = number(group + "/" + limit), used = number(group + "/" + usage);
  if (!most || !used) return std::nullopt;
  const std::size_t taken =
      *used - std::min(*used, entry(group + "/memory.stat", file_pages, 1).value_or(0));
  return *most - std::min(*most, taken);
}

}  // namespace

std::size_t available_memory(const std::string& root) {
  std::optional<std::size_t> least = entry(root + "/proc/meminfo", "MemAvailable:", 1024);
  const auto bound = [&](std::optional<std::size_t> bytes) {
    if (bytes) least = std::min(*bytes, least.value_or(*bytes));
  };
  // Lines "id:controllers:path"; limits of the groups above hold too.
  std::ifstream groups(root + "/proc/self/cgroup");
  for (std::string line; std::getline(groups, line);) {
    const auto first = line.find(':'), second = line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    std::string path = line.substr(second + 1);
    const bool v2 = controllers.empty(), v1 = controllers == "memory";
    if (!v2 && !v1) continue;
    for (;; path.erase(path.rfind('/'))) {
      if (path == "/") path.clear();
      const std::string group = root + "/sys/fs/cgroup" + (v1 ? "/memory" : "") + path;
      bound(v2 ? left(group, "memory.max", "memory.current", "file")
               : left(group, "memory.limit_in_bytes", "memory.usage_in_bytes", "total_cache"));
      if (path.empty() || path.rfind('/') == std::string::npos) break;
    }
  }
  return least.value_or(0);
}

std::size_t peak_resident_memory() {
  return entry("/proc/self/status", "VmHWM:", 1024).value_or(0);
}

}  // namespace ntk
