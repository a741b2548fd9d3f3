// A valid data file, and what tests do to it.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "data/data_file.hpp"
#include "data/hdf5_writer.hpp"
#include "support/files.hpp"

namespace ntk::data {

using Int32s = std::vector<std::int32_t>;
using Int64s = std::vector<std::int64_t>;
using Doubles = std::vector<double>;
using Writer = test::Hdf5Writer;

// A valid file is the sum of these steps; a test replaces or drops one.
using Steps = std::map<std::string, std::function<void(Writer&)>>;

inline Steps good_steps() {
  return {{"tokens",
           [](Writer& w) {
             w.put("tokens", Int32s{5, 6, 7, 8, 9, 4});
           }},
          {"offsets",
           [](Writer& w) {
             w.put("offsets", Int64s{0, 2, 5, 6});
           }},
          {"token_type",
           [](Writer& w) {
             w.put("token_type", Int32s{0, 1, 0, 0, 1, 0});
           }},
          {"target",
           [](Writer& w) {
             w.put("target", Doubles{1, 2, 3, 4, 5, 6}, 2);
           }},
          {"reference",
           [](Writer& w) {
             w.put("reference", Doubles{1, 2, 3});
           }},
          {"reference_variance",
           [](Writer& w) {
             w.put("reference_variance", Doubles{0, 1, 2});
           }},
          {"noise_variance",
           [](Writer& w) {
             w.put("noise_variance", Doubles{0.5, 1, 2});
           }},
          {"group",
           [](Writer& w) {
             w.put("group", Int64s{7, 7, 8});
           }},
          {"source_row", [](Writer& w) {
             w.put("source_row", Int64s{30, 10, 20});
           }}};
}

inline Steps labelled_steps() {
  Steps steps = good_steps();
  steps.erase("target");
  steps["label"] = [](Writer& w) {
    w.put("label", Int32s{1, 0, 2});
    w.put_texts("label", "classes", {"no", "yes", "größer"});
  };
  return steps;
}

class Data : public testing::Test {
 protected:
  std::string write(const Steps& steps) {
    const std::string path = folder_.path("data.h5");
    Writer writer(path);
    for (const auto& [name, step] : steps) step(writer);
    return path;
  }
  DataFile read(const Steps& steps, Tokens tokens = Tokens::required) {
    return read_data(write(steps), tokens);
  }
  std::string error(const Steps& steps, Tokens tokens = Tokens::required) {
    const std::string path = write(steps);
    return test::error_of(ExitCode::input, [&] { read_data(path, tokens); });
  }
  // The error when `name` holds `values` instead.
  template <class T>
  std::string error_with(const std::string& name, const std::vector<T>& values, int columns = 0) {
    Steps steps = good_steps();
    steps[name] = [&](Writer& w) { w.put(name, values, static_cast<hsize_t>(columns)); };
    return error(steps);
  }
  std::string error_without(const std::string& name) {
    Steps steps = good_steps();
    steps.erase(name);
    return error(steps);
  }
  test::TemporaryFolder folder_;
};

}  // namespace ntk::data
