// theory.json as a short table for people.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace ntk::app {

// The lines of the table, for every kernel of theory.json (theory_stage.hpp), then the closing
// lines of each (theory_closing.hpp). Data sets with several label sets show the first one and the
// means over all.
std::vector<std::string> theory_table(const nlohmann::json& theory);

}  // namespace ntk::app
