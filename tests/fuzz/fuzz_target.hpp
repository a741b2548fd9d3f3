// What all fuzz targets share: where their input lies as a file, and what may come of it.
//
// Whatever the input, a reader either succeeds or throws an Error that blames the input. Any other
// exception, exit code or signal, a sanitizer's report, an input that takes long or much memory, or
// a message with control characters (which would reach a terminal) is a finding.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "base/error.hpp"
#include "support/files.hpp"

namespace ntk::fuzz {

// Where inputs lie: in memory where that is possible (tests/fuzz/run.sh sets TMPDIR).
inline const test::TemporaryFolder& folder() {
  static const test::TemporaryFolder made;
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
