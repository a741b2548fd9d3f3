#include "app/deadline.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <memory>

#include "base/log.hpp"

namespace ntk::app {
namespace {

// Seconds before the end of a Slurm job that a stop needs, and at most is given.
constexpr double least_margin = 25, most_margin = 60;

// What a command prints, without the line's end; empty when it fails.
std::string output_of(const std::string& command) {
  const std::unique_ptr<FILE, int (*)(FILE*)> pipe(::popen(command.c_str(), "r"), ::pclose);
  std::array<char, 256> line{};
  if (!pipe || !std::fgets(line.data(), line.size(), pipe.get())) return "";
  std::string text = line.data();
  text.erase(text.find_last_not_of("\r\n \t") + 1);
  return text;
}

bool is_number(const std::string& text) {
  return !text.empty() && text.find_first_not_of("0123456789") == std::string::npos;
}

// Seconds since 1970 of this Slurm job's end.
std::optional<double> end_of_slurm_job() {
  if (const char* end = std::getenv("SLURM_JOB_END_TIME"); end && is_number(end)) {
    return std::atof(end);
  }
  const auto number = [](const char* variable) {
    const char* value = std::getenv(variable);
    return value && is_number(value) ? std::string(value) : "";
  };
  std::string job = number("SLURM_JOB_ID");
  if (job.empty()) return std::nullopt;
  // One task of an array has the array's own number, which stands for all of its tasks.
  const std::string array = number("SLURM_ARRAY_JOB_ID"), task = number("SLURM_ARRAY_TASK_ID");
  if (!array.empty() && !task.empty()) job = fmt::format("{}_{}", array, task);
  return slurm_time(output_of(fmt::format("timeout 10 squeue -h -o %e -j {} 2>/dev/null", job)));
}

}  // namespace

std::optional<double> slurm_time(const std::string& text) {
  std::tm time{};
  time.tm_isdst = -1;
  const char* end = ::strptime(text.c_str(), "%Y-%m-%dT%H:%M:%S", &time);
  if (!end || *end != '\0') return std::nullopt;
  return static_cast<double>(std::mktime(&time));
}

parallel::Watcher::Limits find_limits(const Job& job) {
  parallel::Watcher::Limits limits;
  limits.stop_file = job.run.directory + "/STOP";
  if (job.run.max_hours > 0) limits.seconds = 0.99 * 3600 * job.run.max_hours;
  if (const auto end = end_of_slurm_job()) {
    const double now =
        std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
    const double rest = std::max(0.0, *end - now);
    const double usable = std::max(0.0, rest - std::clamp(0.1 * rest, least_margin, most_margin));
    log::info("the Slurm job ends in {:.0f} s: this run stops {:.0f} s before that", rest,
              rest - usable);
    if (usable < limits.seconds) {
      limits.seconds = usable;
      limits.reason = stop::Reason::job_end;
    }
  }
  return limits;
}

}  // namespace ntk::app
