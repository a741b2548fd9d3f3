#include "app/task_rows.hpp"

#include <fmt/format.h>

namespace ntk::app {

using nlohmann::json;

namespace {

std::string three_digits(const json& value) {
  return value.is_number() ? fmt::format("{:.3g}", value.get<double>()) : "-";
}

}  // namespace

std::vector<std::string> task_rows(const json& tasks) {
  std::vector<std::string> rows;
  std::string pairs;
  for (const auto& pair : tasks.at("pairs")) {
    pairs += fmt::format(
        "{}{}/{} {}", pairs.empty() ? "" : ", ", pair.at("tasks")[0].get<std::string>(),
        pair.at("tasks")[1].get<std::string>(), three_digits(pair.at("alignment").at("value")));
  }
  rows.push_back(fmt::format("{}: alignment {}", tasks.at("name").get<std::string>(), pairs));
  std::string halves;
  for (const auto& task : tasks.at("tasks")) {
    halves += fmt::format("{}{} {}", halves.empty() ? "" : ", ", task.at("name").get<std::string>(),
                          three_digits(task.at("alignment_of_halves").at("value")));
  }
  rows.push_back("of a task's halves with each other: " + halves);
  for (const auto& task : tasks.at("tasks")) {
    rows.push_back(fmt::format(
        "{}: risk {} with its own vector, {} with the sum, {} trained together, {} untrained",
        task.at("name").get<std::string>(), three_digits(task.at("own_vector")),
        three_digits(task.at("sum")), three_digits(task.at("together")),
        three_digits(task.at("null"))));
  }
  const json* best = nullptr;
  for (const auto& point : tasks.at("scaling")) {
    if (!point.at("mean").is_number()) continue;
    if (!best || point.at("mean").get<double>() < best->at("mean").get<double>()) best = &point;
  }
  rows.push_back(
      fmt::format("the sum is off from training together by {} of it; best coefficient {}",
                  three_digits(tasks.at("additivity_error").at("value")),
                  best ? three_digits(best->at("coefficient")) : "-"));
  return rows;
}

}  // namespace ntk::app
