// What all fuzz targets share: where their input lies as a file, and what may come of it.
//
// Whatever the input, a reader either succeeds or throws an Error that blames the input. Any other
// exception, exit code or signal, a sanitizer's report, an input that takes long or much memory, or
// a message with control characters (which would reach a terminal) is a finding.
#pragma once

#include <stdlib.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>
#include <string_view>

#include "base/error.hpp"

namespace ntk::fuzz {

// A folder in memory where there is one (tests/fuzz/run.sh sets TMPDIR), removed at the end.
class Folder {
 public:
  Folder() {
    std::string name = (std::filesystem::temp_directory_path() / "ntk_fuzz_XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr) throw std::runtime_error("no temporary folder");
    path_ = name;
  }
  ~Folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;

  std::string path() const { return path_.string(); }
  void clear() const {
    for (const auto& entry : std::filesystem::directory_iterator(path_)) {
      std::filesystem::remove_all(entry);
    }
  }
  // Writes `content` as file `name` and gives back its path.
  std::string write(const std::string& name, std::string_view content) const {
    const std::string path = (path_ / name).string();
    std::ofstream(path, std::ios::binary)
        .write(content.data(), static_cast<std::streamsize>(content.size()));
    return path;
  }

 private:
  std::filesystem::path path_;
};

inline const Folder& folder() {
  static const Folder made;
  return made;
}

inline std::string_view text(const std::uint8_t* bytes, std::size_t size) {
  return {reinterpret_cast<const char*>(bytes), size};
}

inline void check(bool holds, const std::string& what) {
  if (holds) return;
  std::fprintf(stderr, "FINDING: %s\n", what.c_str());
  std::abort();
}

// Runs `read`. The only exception that may leave it is an Error that says usage, input or io; with
// FUZZ_TELL in the environment it is printed.
template <class Read>
void expect_result_or_error(Read read) {
  try {
    read();
  } catch (const Error& error) {
    const std::string message = error.what();
    if (std::getenv("FUZZ_TELL") != nullptr) std::fprintf(stderr, "%s\n", message.c_str());
    check(error.code() == ExitCode::usage || error.code() == ExitCode::input ||
              error.code() == ExitCode::io,
          "exit code " + std::to_string(static_cast<int>(error.code())) + ": " + message);
    check(std::ranges::none_of(
              message, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }),
          "control characters in: " + message);
  }
}

}  // namespace ntk::fuzz
