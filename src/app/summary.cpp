#include "app/summary.hpp"

#include <toml++/toml.h>
#include <filesystem>
#include <fstream>

#include "app/status.hpp"
#include "base/log.hpp"
#include "base/text.hpp"
#include "store/disk.hpp"

namespace ntk::app {

using nlohmann::json;

namespace {

// What is wrong with the earlier summary is not worth a word: it is about to be replaced.
json read_summary(const std::string& path) {
  std::ifstream file(path);
  json earlier = json::parse(file, nullptr, false);
  return earlier.is_object() ? earlier : json::object();
}

bool holds_kernel(const std::string& directory) {
  std::error_code failed;
  return std::filesystem::exists(directory + "/kernel.h5", failed) ||
         std::filesystem::exists(directory + "/kernel.h5.partial", failed);
}

}  // namespace

json merge_summaries(const json& earlier, json summary) {
  const json empty = json::object();
  const json& timings = earlier.contains("timings") ? earlier["timings"] : empty;
  bool outdated = false;  // each stage is made from the one before
  for (const char* name : {"kernel", "spectrum", "theory"}) {
    const bool told = summary.contains(name);
    if (told && !summary[name].value("reused", false)) {
      outdated = true;
      continue;
    }
    if ((outdated && !told) || !earlier.contains(name) || !earlier[name].is_object()) continue;
    json stage = earlier[name];
    if (summary.contains(name)) stage.update(summary[name]);
    summary[name] = std::move(stage);
    for (const std::string& clock : {std::string(name), std::string(name) + "_with_setup"}) {
      if (timings.contains(clock)) summary["timings"][clock] = timings[clock];
    }
  }
  return summary;
}

bool same_kernel(const std::string& job, const std::string& other) {
  const auto settings = [](const std::string& text) {
    toml::table table = toml::parse(text);
    table.erase("spectrum");
    table.erase("theory");
    if (toml::table* run = table["run"].as_table()) {
      for (const char* key : {"directory", "threads", "max_hours", "watchdog_minutes"}) {
        run->erase(key);
      }
    }
    if (toml::table* kernel = table["kernel"].as_table()) {
      for (const char* key : {"device", "memory_gib", "task_seconds", "mirror", "share_gpu",
                              "allow_other_hardware"}) {
        kernel->erase(key);
      }
    }
    return table;
  };
  try {
    return settings(job) == settings(other);
  } catch (const toml::parse_error&) {
    return false;
  }
}

void write_summary(const std::string& directory, const std::string& file, json summary,
                   ExitCode code, const std::string& message, int rank) {
  const std::string path = directory + "/" + file;
  std::error_code failed;
  if (!std::filesystem::is_directory(directory, failed)) return;  // the run never got one
  const json earlier = read_summary(path);
  const bool ours = summary.contains("kernel");  // the stage opened the file
  if (code != ExitCode::complete && !ours && holds_kernel(directory) && earlier.contains("job") &&
      earlier["job"].is_string() &&
      !same_kernel(earlier["job"].get<std::string>(), summary.at("job").get<std::string>())) {
    log::info("{} is left as it is: it belongs to the kernel of another job", path);
    return;
  }
  summary = merge_summaries(earlier, std::move(summary));
  summary["status"] = status_word(code);
  summary["exit_code"] = static_cast<int>(code);
  if (!message.empty()) summary[code == ExitCode::stopped ? "message" : "error"] = message;
  summary["ended"] = time_stamp();
  try {
    // Paths in messages need not be UTF-8.
    const std::string text = summary.dump(2, ' ', false, json::error_handler_t::replace);
    store::replace_file(path, text + "\n", rank);
  } catch (const Error& error) {
    log::warn("{}", error.what());
  }
}

}  // namespace ntk::app
