// The last lines that `ntk theory` prints: about a dozen sentences on a kernel that stand by
// themselves, with intervals and caveats.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace ntk::app {

// Of theory.json's kernels.NAME; what is not there is left out. Of several label sets the first.
std::vector<std::string> closing_lines(const std::string& name, const nlohmann::json& report);

}  // namespace ntk::app
