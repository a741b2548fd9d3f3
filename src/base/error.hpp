// Errors that users see, and the exit codes they end in (table in docs/exit-codes.md).
//
// Every message has the shape PROBLEM (WHY) SUGGESTION. Code below `app` throws `Error`; `main`
// converts it once into the process's exit code.
#pragma once

#include <fmt/format.h>

#include <stdexcept>
#include <string>
#include <utility>

namespace ntk {

enum class ExitCode : int {
  complete = 0,
  usage = 2,      // command line, job file, a directory that holds another job's results
  input = 3,      // bad data file or model
  numerical = 4,  // non-finite values, a failed check, divergence
  io = 5,         // reading or writing files
  resources = 6,  // memory, device, a limit of 32-bit indices
  internal = 7,   // a defect in this program, or the watchdog
  stopped = 85,   // stopped on request with everything journalled: submit again
  interrupted = 130
};

class Error : public std::runtime_error {
 public:
  Error(ExitCode code, const std::string& message) : std::runtime_error(message), code_(code) {}
  ExitCode code() const noexcept { return code_; }

 private:
  ExitCode code_;
};

// Throws Error(code) with a formatted message.
template <class... Args>
[[noreturn]] void fail(ExitCode code, fmt::format_string<Args...> text, Args&&... args) {
  throw Error(code, fmt::format(text, std::forward<Args>(args)...));
}

// Throws Error(code) unless `condition` holds. For conditions that input can break.
template <class... Args>
void require(bool condition, ExitCode code, fmt::format_string<Args...> text, Args&&... args) {
  if (!condition) throw Error(code, fmt::format(text, std::forward<Args>(args)...));
}

// Throws Error(internal) unless `condition` holds. For conditions that only a defect can break.
template <class... Args>
void ensure(bool condition, fmt::format_string<Args...> text, Args&&... args) {
  if (!condition) {
    throw Error(ExitCode::internal,
                "internal error: " + fmt::format(text, std::forward<Args>(args)...) +
                    " (this is a defect in ntkspectra) please report it");
  }
}

}  // namespace ntk
