#include "base/job_key.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <sstream>
#include <utility>

#include "base/text.hpp"

namespace ntk {

JobKey text_key(std::string section, std::string name, std::string comment,
                Field<std::string> field, std::vector<std::string> choices) {
  JobKey key{std::move(section), std::move(name), std::move(comment)};
  key.allowed = choices.empty() ? "text in quotes, not empty" : choices_text(choices);
  key.set = [field, choices](Job& job, const toml::node& value) -> std::string {
    const auto text = value.value_exact<std::string>();
    if (!text) return "is not text";
    if (text->empty()) return "is empty";
    if (!choices.empty() && std::ranges::find(choices, *text) == choices.end()) {
      return fmt::format("is not a choice, did you mean \"{}\"", nearest(*text, choices));
    }
    field(job) = *text;
    return {};
  };
  key.get = [field](Job& job) { return field(job).empty() ? "" : toml_text(field(job)); };
  return key;
}

template <class T>
JobKey integer_key(std::string section, std::string name, std::string comment, Field<T> field,
                   std::int64_t low, std::int64_t high) {
  JobKey key{std::move(section), std::move(name), std::move(comment)};
  key.allowed = fmt::format("an integer from {} to {}", low, high);
  key.set = [=](Job& job, const toml::node& value) -> std::string {
    const auto number = value.value_exact<std::int64_t>();
    if (!number) return "is not an integer";
    if (*number < low || *number > high) return "is out of range";
    field(job) = static_cast<T>(*number);
    return {};
  };
  key.get = [field](Job& job) { return fmt::format("{}", field(job)); };
  return key;
}

template JobKey integer_key<int>(std::string, std::string, std::string, Field<int>, std::int64_t,
                                 std::int64_t);
template JobKey integer_key<std::int64_t>(std::string, std::string, std::string,
                                          Field<std::int64_t>, std::int64_t, std::int64_t);

JobKey real_key(std::string section, std::string name, std::string comment, Field<double> field,
                bool zero) {
  JobKey key{std::move(section), std::move(name), std::move(comment)};
  key.allowed = zero ? "a number, 0 or more" : "a number above 0";
  key.set = [=](Job& job, const toml::node& value) -> std::string {
    if (!value.is_number()) return "is not a number";
    const double number = value.value<double>().value_or(std::nan(""));
    if (!std::isfinite(number) || number < 0 || (number == 0 && !zero)) return "is out of range";
    field(job) = number;
    return {};
  };
  key.get = [field](Job& job) { return fmt::format("{}", field(job)); };
  return key;
}

JobKey integers_key(std::string section, std::string name, std::string comment,
                    Field<std::vector<std::int64_t>> field, std::int64_t low) {
  JobKey key{std::move(section), std::move(name), std::move(comment),
             fmt::format("a list of integers from {}", low)};
  key.set = [field, low](Job& job, const toml::node& value) -> std::string {
    const toml::array* array = value.as_array();
    if (array == nullptr) return "is not a list";
    std::vector<std::int64_t> read;
    for (const toml::node& element : *array) {
      const auto number = element.value_exact<std::int64_t>();
      if (!number) return "holds something else than integers";
      if (*number < low) return "holds a number out of range";
      read.push_back(*number);
    }
    field(job) = std::move(read);
    return {};
  };
  key.get = [field](Job& job) { return fmt::format("[{}]", fmt::join(field(job), ", ")); };
  return key;
}

JobKey flag_key(std::string section, std::string name, std::string comment, Field<bool> field) {
  JobKey key{std::move(section), std::move(name), std::move(comment), "true or false"};
  key.set = [field](Job& job, const toml::node& value) -> std::string {
    const auto flag = value.value_exact<bool>();
    if (!flag) return "is not a truth value";
    field(job) = *flag;
    return {};
  };
  key.get = [field](Job& job) { return field(job) ? "true" : "false"; };
  return key;
}

std::string read_texts(const toml::node& value, std::vector<std::string>& items) {
  const toml::array* array = value.as_array();
  if (array == nullptr) return "is not a list";
  std::vector<std::string> read;
  for (const toml::node& element : *array) {
    const auto text = element.value_exact<std::string>();
    if (!text || text->empty()) return "holds something else than text";
    read.push_back(*text);
  }
  items = std::move(read);
  return {};
}

std::string toml_text(const toml::node& value) {
  std::ostringstream text;
  value.visit([&](const auto& concrete) {
    text << toml::toml_formatter(concrete, toml::format_flags::allow_unicode_strings);
  });
  std::string line = text.str();
  std::ranges::replace(line, '\n', ' ');  // between elements: strings have theirs escaped
  return line;
}

std::string toml_text(const std::string& value) {
  return toml_text(toml::value<std::string>(value));
}

std::string toml_text(const std::vector<std::string>& values) {
  std::vector<std::string> quoted;
  for (const auto& value : values) quoted.push_back(toml_text(value));
  return fmt::format("[{}]", join(quoted));
}

std::string choices_text(const std::vector<std::string>& choices) {
  std::vector<std::string> quoted;
  for (const auto& choice : choices) quoted.push_back(fmt::format("\"{}\"", choice));
  return join(quoted, " or ");
}

}  // namespace ntk
