#include "app/theory_text.hpp"

#include <fmt/format.h>

namespace ntk::app {

using nlohmann::json;

std::string number_text(const json& j, int digits) {
  const json& value = j.is_object() ? j.at("value") : j;
  return value.is_number() ? fmt::format("{:.{}g}", value.get<double>(), digits) : "-";
}

std::string with_error(const json& value, const json& error) {
  if (!value.is_number()) return "-";
  return fmt::format("{} ± {}", number_text(value, 4), number_text(error, 2));
}

std::string with_interval(const json& value, const json& low, const json& high) {
  if (!value.is_number()) return "-";
  return fmt::format("{} ({} to {})", number_text(value), number_text(low), number_text(high));
}

std::string with_interval(const json& of) {
  return with_interval(of.at("value"), of.at("low"), of.at("high"));
}

std::string exponent_text(const json& fit) {
  if (!fit.contains("sd") || fit.at("sd").is_null()) return number_text(fit, 4);
  return fmt::format("{} ± {}", number_text(fit, 4), number_text(fit.at("sd"), 1));
}

}  // namespace ntk::app
