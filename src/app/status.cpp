#include "app/status.hpp"

#include <cstdio>

#include "base/log.hpp"

namespace ntk::app {

const char* status_word(ExitCode code) {
  switch (code) {
    case ExitCode::complete:
      return "complete";
    case ExitCode::usage:
      return "usage error";
    case ExitCode::input:
      return "bad input";
    case ExitCode::numerical:
      return "numerical failure";
    case ExitCode::io:
      return "input/output failure";
    case ExitCode::resources:
      return "out of resources";
    case ExitCode::internal:
      return "internal error";
    case ExitCode::stopped:
      return "stopped, resume with the same command";
    case ExitCode::interrupted:
      return "interrupted";
  }
  return "internal error";
}

int say_status(ExitCode code) {
  std::fprintf(stdout, "STATUS: %s\n", status_word(code));
  std::fflush(stdout);
  return static_cast<int>(code);
}

int say_end(ExitCode code, const std::string& message, bool alone) {
  if (code == ExitCode::stopped) {
    alone ? log::rank_warn("{}", message) : log::info("{}", message);
  } else {
    alone ? log::rank_error("{}", message) : log::error("{}", message);
  }
  return say_status(code);
}

}  // namespace ntk::app
