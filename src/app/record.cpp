#include "app/record.hpp"

#include <utility>

#include "app/summary.hpp"
#include "base/stop.hpp"

namespace ntk::app {

using nlohmann::json;

Record::Record(const Job& job, int rank, const std::string& file, json start)
    : directory_(job.run.directory), file_(file), rank_(rank), summary_(std::move(start)) {
  summary_["job"] = to_toml(job);
  summary_["timings"] = json::object();
}

void Record::add_stage(const std::string& name, json result, double seconds) {
  const std::lock_guard lock(mutex_);
  const bool own = result.contains("timings") && result["timings"].contains(name);
  summary_["timings"][name] = own ? result["timings"][name] : json(seconds);
  summary_["timings"][name + "_with_setup"] = seconds;
  summary_[name] = std::move(result);
}

void Record::add_unfinished(const std::string& name, json progress) {
  const std::lock_guard lock(mutex_);
  summary_[name] = std::move(progress);
}

void Record::close(ExitCode code, const std::string& message, bool alone) {
  const std::lock_guard lock(mutex_);
  if (std::exchange(closed_, true) || code == ExitCode::usage || (rank_ != 0 && !alone)) return;
  if (stop::requested() != stop::Reason::none && code == ExitCode::stopped) {
    summary_["stop"] = {{"reason", stop::words(stop::requested())}};
  }
  write_summary(directory_, file_, summary_, code, message, rank_);
}

}  // namespace ntk::app
