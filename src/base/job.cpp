#include "base/job.hpp"

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <system_error>

#include "base/error.hpp"
#include "base/job_table.hpp"
#include "base/text.hpp"

namespace ntk {
namespace {

// Sections in the table's order.
std::vector<std::string> sections() {
  std::vector<std::string> names;
  for (const JobKey& key : job_keys()) {
    if (names.empty() || names.back() != key.section) names.push_back(key.section);
  }
  return names;
}

std::string place(const toml::node& node, const std::string& path) {
  const toml::source_region& source = node.source();
  if (!source.begin) return path;
  const std::string file = source.path ? *source.path : path;
  // An override is one line long.
  return file == path ? fmt::format("{} line {}", path, source.begin.line) : file;
}

toml::table parse(std::string_view text, const std::string& path) {
  try {
    return toml::parse(text, path);
  } catch (const toml::parse_error& error) {
    fail(ExitCode::usage, "{} is not valid TOML (line {}: {}) correct that line", path,
         error.source().begin.line, printable(error.description()));
  }
}

std::string read_text(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  const std::string reason = std::generic_category().message(errno);
  std::error_code ignored;
  const bool folder = std::filesystem::is_directory(path, ignored);
  require(file.is_open() && !folder, ExitCode::usage,
          "no job file {} ({}) give its path, or print one with: ntk job --defaults", path,
          folder ? "it is a folder" : reason);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

// The node of an override's value: TOML if it is, else the text itself.
toml::table parse_value(const std::string& text, const std::string& origin) {
  try {
    toml::table parsed = toml::parse("value = " + text, origin);
    if (parsed.size() == 1) return parsed;
  } catch (const toml::parse_error& error) {
    require(text.empty() || std::string_view("\"'[{").find(text.front()) == std::string_view::npos,
            ExitCode::usage, "{} is not valid TOML ({}) correct the value", origin,
            printable(error.description()));
  }
  // Through the parser once more, so that the node knows its origin.
  return toml::parse("value = " + toml_text(text), origin);
}

// Puts "section.key[.part]=value" into the parsed file.
void apply_override(toml::table& root, const std::string& text) {
  const std::string origin = "--set " + printable(text);
  const std::size_t equals = text.find('=');
  std::vector<std::string> names;
  for (std::size_t from = 0; equals != std::string::npos && from <= equals;) {
    const std::size_t to = std::min(text.find('.', from), equals);
    std::string name = text.substr(from, to - from);
    name.erase(0, name.find_first_not_of(' '));
    name.erase(name.find_last_not_of(' ') + 1);
    names.push_back(name);
    from = to + 1;
  }
  require(names.size() >= 2 && std::ranges::find(names, "") == names.end(), ExitCode::usage,
          "{} cannot be read (no section, key and value) write --set section.key=value", origin);
  const std::size_t start = text.find_first_not_of(' ', equals + 1);
  toml::table value = parse_value(start == std::string::npos ? "" : text.substr(start), origin);

  toml::table* table = &root;
  for (std::size_t i = 0; i + 1 < names.size(); ++i) {
    if (!(*table)[names[i]].is_table()) table->insert_or_assign(names[i], toml::table{});
    table = (*table)[names[i]].as_table();
  }
  table->insert_or_assign(names.back(), std::move(*value.get("value")));
}

[[noreturn]] void fail_unknown_key(const std::string& section, const std::string& name,
                                   const std::string& where) {
  std::string suggestion;
  std::vector<std::string> beside;
  for (const JobKey& key : job_keys()) {
    if (key.name == name) suggestion = key.full_name();  // the right key in the wrong section
    if (key.section == section) beside.push_back(key.full_name());
  }
  const std::string full = section + "." + name;
  if (suggestion.empty()) suggestion = nearest(full, beside);
  fail(ExitCode::usage, "unknown key {} in the job file ({}) did you mean {}?", printable(full),
       where, suggestion);
}

void check_names(const toml::table& root, const std::string& path) {
  const std::vector<std::string> known = sections();
  for (const auto& [section, node] : root) {
    const std::string name(section.str());
    const std::string where = place(node, path);
    const auto here = std::ranges::find(job_keys(), name, &JobKey::name);
    require(node.is_table() || here == job_keys().end(), ExitCode::usage,
            "unknown key {} in the job file ({}: it stands before all tables) put it below [{}]",
            printable(name), where, here == job_keys().end() ? "" : here->section);
    require(std::ranges::find(known, name) != known.end(), ExitCode::usage,
            "unknown {} {} in the job file ({}) did you mean [{}]?",
            node.is_table() ? "table" : "key", printable(name), where, nearest(name, known));
    const toml::table* table = node.as_table();
    require(table != nullptr, ExitCode::usage,
            "{} in the job file is not a table ({}) write [{}] on a line of its own", name, where,
            name);
    for (const auto& [key, value] : *table) {
      const std::string inner(key.str());
      const auto same = [&](const JobKey& k) { return k.section == name && k.name == inner; };
      if (std::ranges::none_of(job_keys(), same)) {
        fail_unknown_key(name, inner, place(value, path));
      }
    }
  }
}

Job job_from(const toml::table& root, const std::string& path) {
  check_names(root, path);
  Job job = default_job();
  for (const JobKey& key : job_keys()) {
    const toml::node* node = root[key.section][key.name].node();
    require(node != nullptr || !key.required, ExitCode::usage,
            "the job file lacks {} ({}: {}) add it to [{}], e.g. {} = {}", key.full_name(), path,
            key.comment, key.section, key.name, key.example);
    if (node == nullptr) continue;
    const std::string wrong = key.set(job, *node);
    require(wrong.empty(), ExitCode::usage, "{} = {} {} ({}) it takes {}", key.full_name(),
            printable(toml_text(*node)), wrong, place(*node, path), key.allowed);
  }
  require(job.kernel.batch_samples % job.kernel.tile_samples == 0, ExitCode::usage,
          "kernel.tile_samples = {} does not divide kernel.batch_samples = {} ({}: a batch is cut "
          "into whole tiles) change one of them",
          job.kernel.tile_samples, job.kernel.batch_samples, path);
  job.has_spectrum = root.contains("spectrum");
  job.has_theory = root.contains("theory");
  return job;
}

}  // namespace

Job read_job(const std::string& path, const std::vector<std::string>& overrides) {
  toml::table root = parse(read_text(path), path);
  for (const std::string& text : overrides) apply_override(root, text);
  return job_from(root, path);
}

std::string to_toml(const Job& job) {
  Job copy = job;
  std::string text;
  for (const std::string& section : sections()) {
    if ((section == "spectrum" && !job.has_spectrum) || (section == "theory" && !job.has_theory)) {
      continue;
    }
    text += "[" + section + "]\n";
    for (const JobKey& key : job_keys()) {
      const std::string value = key.section == section ? key.get(copy) : "";
      if (!value.empty()) text += key.name + " = " + value + "\n";
    }
  }
  return text;
}

std::string job_value(const Job& job, const std::string& name) {
  const auto key = std::ranges::find(job_keys(), name, &JobKey::full_name);
  if (key == job_keys().end()) {
    std::vector<std::string> names;
    for (const JobKey& known : job_keys()) names.push_back(known.full_name());
    fail(ExitCode::usage, "unknown key {} (`ntk job --defaults` prints all) did you mean {}?",
         printable(name), nearest(name, names));
  }
  Job copy = job;
  const std::string value = key->get(copy);
  if (value.empty()) return value;
  const toml::table parsed = toml::parse("value = " + value);
  return parsed["value"].value_exact<std::string>().value_or(value);
}

std::string default_job_text() {
  Job job = default_job();
  std::string text;
  for (const std::string& section : sections()) {
    text += "[" + section + "]";
    text +=
        section == "spectrum" ? "  # a stage runs under `ntk run` when its table is here\n" : "\n";
    for (const JobKey& key : job_keys()) {
      if (key.section != section) continue;
      const std::string value = key.get(job);
      std::string line = fmt::format("{} = {}", key.name, value.empty() ? key.example : value);
      if (value.empty() && !key.required) line = "# " + line;  // no default: shown, not set
      text += fmt::format("{:<36} # {}\n", line, key.comment);
    }
  }
  return text;
}

}  // namespace ntk
