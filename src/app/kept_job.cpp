#include "app/kept_job.hpp"

#include <filesystem>
#include <fstream>
#include <optional>
#include <sstream>

#include "base/error.hpp"
#include "base/log.hpp"

namespace ntk::app {

Job kept_job(const Job* stored, const Job& job, Stage stage) {
  Job kept = stored ? *stored : job;
  kept.run.directory = job.run.directory;
  if (stage == Stage::kernel) {
    kept.run = job.run;
    kept.model = job.model;
    kept.data = job.data;
    kept.kernel = job.kernel;
  }
  // Tables of a stage that nothing is known of yet are taken as they come.
  if (stage == Stage::spectrum || !kept.has_spectrum) kept.spectrum = job.spectrum;
  if (stage == Stage::theory || !kept.has_theory) kept.theory = job.theory;
  kept.has_spectrum = kept.has_spectrum || job.has_spectrum || stage == Stage::spectrum;
  kept.has_theory = kept.has_theory || job.has_theory || stage == Stage::theory;
  return kept;
}

void keep_job(const Job& job, Stage stage) {
  const std::string path = job.run.directory + "/run.toml";
  std::optional<Job> stored;
  std::ostringstream before;
  if (std::ifstream file(path); file) {
    before << file.rdbuf();
    try {
      stored = read_job(path, {});
    } catch (const Error& error) {
      log::warn("{} is replaced by this job ({})", path, error.what());
    }
  }
  const std::string now = to_toml(kept_job(stored ? &*stored : nullptr, job, stage));
  if (now == before.str()) return;
  {
    std::ofstream file(path + ".new");
    file << now;
    if (!file.flush()) {
      log::warn("cannot write {} (the disk is full or the directory is read-only)", path);
      return;
    }
  }
  std::error_code failed;
  std::filesystem::rename(path + ".new", path, failed);
  if (failed) log::warn("cannot write {} ({})", path, failed.message());
}

}  // namespace ntk::app
