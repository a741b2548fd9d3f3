// One key of the job file, and the common kinds of keys.
#pragma once

#include <toml++/toml.h>
#include <cstdint>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "base/job.hpp"

namespace ntk {

struct JobKey {
  std::string section, name;
  std::string comment;    // one line, for the default file
  std::string allowed{};  // what a value may be: ends messages, after "it takes"
  bool required = false;
  std::string example{};  // TOML text shown in the default file where there is no default

  // Stores a TOML value. Returns what is wrong with it ("is not an integer"), empty when nothing
  // is.
  std::function<std::string(Job&, const toml::node&)> set{};
  // The value as TOML text; empty = not set, so not written.
  std::function<std::string(Job&)> get{};

  std::string full_name() const { return section + "." + name; }
};

// Where a key's value lives in a job.
template <class T>
using Field = std::function<T&(Job&)>;

// Text that is not empty; one of `choices` when there are any.
JobKey text_key(std::string section, std::string name, std::string comment,
                Field<std::string> field, std::vector<std::string> choices = {});

// T is int or std::int64_t; both bounds are allowed values.
template <class T>
JobKey integer_key(std::string section, std::string name, std::string comment, Field<T> field,
                   std::int64_t low, std::int64_t high = std::numeric_limits<std::int32_t>::max());

// A list of integers from `low` on.
JobKey integers_key(std::string section, std::string name, std::string comment,
                    Field<std::vector<std::int64_t>> field, std::int64_t low);

// A finite number, integers too; zero only when `zero`.
JobKey real_key(std::string section, std::string name, std::string comment, Field<double> field,
                bool zero);

JobKey flag_key(std::string section, std::string name, std::string comment, Field<bool> field);

// Puts the texts of an array into `items`. Returns what is wrong, empty when nothing is.
std::string read_texts(const toml::node& value, std::vector<std::string>& items);

// A value as one line of TOML.
std::string toml_text(const toml::node& value);
std::string toml_text(const std::string& value);
std::string toml_text(const std::vector<std::string>& values);

// "a" or "b" or "c", in quotes.
std::string choices_text(const std::vector<std::string>& choices);

}  // namespace ntk
