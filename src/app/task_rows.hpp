// The lines of theory's table on task vectors.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace ntk::app {

// Of one label set's entry of a kernel's "tasks" (theory/task_vectors.hpp).
std::vector<std::string> task_rows(const nlohmann::json& tasks);

}  // namespace ntk::app
