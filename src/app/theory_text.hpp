// How numbers of theory.json are written for people.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace ntk::app {

// The number of a {value, unit, rule} object, or of a plain one; "-" where there is none.
std::string number_text(const nlohmann::json& j, int digits = 3);

// value ± error; the error alone says nothing.
std::string with_error(const nlohmann::json& value, const nlohmann::json& error);

// "2.33 (2.21 to 2.46)", of the three or of an object with value, low and high.
std::string with_interval(const nlohmann::json& value, const nlohmann::json& low,
                          const nlohmann::json& high);
std::string with_interval(const nlohmann::json& of);

// "1.137 ± 0.004"; the deviation is not always known.
std::string exponent_text(const nlohmann::json& fit);

// report[keys...] or null where a part is not there.
template <class... Keys>
const nlohmann::json& part_of(const nlohmann::json& report, const Keys&... keys) {
  static const nlohmann::json nothing;
  const nlohmann::json* at = &report;
  const auto step = [&](const char* key) {
    at = at->is_object() && at->contains(key) ? &at->at(key) : &nothing;
  };
  (step(keys), ...);
  return *at;
}

}  // namespace ntk::app
