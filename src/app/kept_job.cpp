#include "app/kept_job.hpp"

#include <fstream>
#include <optional>
#include <sstream>

#include "base/error.hpp"
#include "base/log.hpp"
#include "store/disk.hpp"

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
  try {
    store::replace_file(path, now);
  } catch (const Error& error) {
    log::warn("{}", error.what());
  }
}

}  // namespace ntk::app
