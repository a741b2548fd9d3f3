// Files for tests and fuzz targets: a folder that goes with the test, and errors as text.
#pragma once

#include <stdlib.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>
#include <string_view>

#include "base/error.hpp"

namespace ntk::test {

// A folder of its own, removed at the end.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "ntk_test_XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr) throw std::runtime_error("no temporary folder");
    path_ = name;
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  // Of a file in it; without a name its own.
  std::string path(const std::string& name = "") const {
    return name.empty() ? path_.string() : (path_ / name).string();
  }

  // Writes `content` as file `name` and gives back its path.
  std::string write(const std::string& name, std::string_view content) const {
    std::ofstream(path(name), std::ios::binary) << content;
    return path(name);
  }
  void clear() const {
    for (const auto& entry : std::filesystem::directory_iterator(path_)) {
      std::filesystem::remove_all(entry);
    }
  }

 private:
  std::filesystem::path path_;
};

// The folder of the committed fixtures; CTest sets it.
inline std::string fixtures() {
  const char* folder = std::getenv("NTK_FIXTURES");
  return folder == nullptr ? "tests/fixtures" : folder;
}

// The message of the Error(code) that `action` throws; "no error" or what else was thrown, if not.
template <class Action>
std::string error_of(ExitCode code, Action action) {
  try {
    action();
  } catch (const Error& error) {
    if (error.code() == code) return error.what();
    return std::string("another exit code: ") + error.what();
  }
  return "no error";
}

}  // namespace ntk::test
