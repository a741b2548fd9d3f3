#include "app/summary.hpp"

#include <fmt/chrono.h>

#include <chrono>
#include <filesystem>
#include <fstream>

#include "base/log.hpp"

namespace ntk::app {

std::string utc_now() {
  return fmt::format(
      "{:%FT%TZ}",
      fmt::gmtime(std::chrono::system_clock::to_time_t(std::chrono::system_clock::now())));
}

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

void write_summary(const std::string& directory, nlohmann::json summary, ExitCode code,
                   const std::string& message) {
  summary["status"] = status_word(code);
  summary["exit_code"] = static_cast<int>(code);
  if (!message.empty()) summary["error"] = message;
  summary["ended"] = utc_now();
  const std::string path = directory + "/summary.json", fresh = path + ".new";
  std::error_code failed;
  if (!std::filesystem::is_directory(directory, failed)) return;  // the run never got one
  {
    std::ofstream file(fresh);
    file << summary.dump(2) << "\n";
    if (!file.flush()) {
      log::warn("cannot write {} (the disk is full or the directory is read-only)", path);
      return;
    }
  }
  std::filesystem::rename(fresh, path, failed);
  if (failed) log::warn("cannot write {} ({})", path, failed.message());
}

}  // namespace ntk::app
