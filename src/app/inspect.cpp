#include "app/inspect.hpp"

#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "base/error.hpp"
#include "base/log.hpp"
#include "base/text.hpp"
#include "model/safetensors.hpp"
#include "store/hdf5.hpp"

namespace ntk::app {
namespace {

namespace h5 = store::h5;
using nlohmann::json;

// Datasets below their groups, one a line.
void list_objects(hid_t file) {
  for (const auto& [path, dataset] : h5::objects(file)) {
    const auto depth = static_cast<std::size_t>(std::ranges::count(path, '/')) + 1;
    const std::string line =
        std::string(2 * depth, ' ') + printable(path.substr(path.rfind('/') + 1));
    if (!dataset) {
      log::plain("{}/", line);
      continue;
    }
    const h5::Dims dims = h5::shape(file, path);
    log::plain("{}  {}", line, dims.empty() ? "number" : fmt::format("{}", fmt::join(dims, " x ")));
  }
}

void inspect_hdf5(const std::string& path) {
  const h5::Handle file = h5::open_file(path);
  const json attributes = h5::read_attributes(file);
  require(attributes.contains("format") && attributes["format"].is_string(), ExitCode::input,
          "{} is an HDF5 file of another program (it has no attribute \"format\") inspect a data, "
          "kernel or spectrum file of ours",
          path);
  log::plain("{}: {}, version {}", path, printable(attributes["format"].get<std::string>()),
             attributes.value("format_version", json(1)).dump());
  for (const auto& [key, value] : attributes.items()) {
    const std::string text = value.is_string() ? value.get<std::string>() : value.dump();
    if (key == "format" || key == "format_version" || text.find('\n') != std::string::npos ||
        text.size() > 100) {
      continue;  // long texts (the job, the identity) are for scripts
    }
    log::plain("  {} = {}", printable(key), printable(text));
  }
  list_objects(file);
}

json read_json(const std::string& path) {
  std::ifstream in(path);
  json content = json::parse(in, nullptr, false);
  require(content.is_object(), ExitCode::input, "{} is no JSON object (damaged) make it again",
          path);
  return content;
}

void inspect_json(const std::string& path) {
  const json content = read_json(path);
  log::plain("{}: JSON", path);
  for (const auto& [key, value] : content.items()) {
    const std::string text = value.dump();
    log::plain("  {}: {}", printable(key), text.size() > 100 ? text.substr(0, 97) + "..." : text);
  }
}

void inspect_weights(const std::string& path) {
  const model::SafetensorsFile file(path);
  log::plain("{}: safetensors, {} tensors", path, file.names().size());
  for (const auto& name : file.names()) {
    log::plain("  {}  {} [{}]", printable(name), file.info(name).dtype,
               fmt::join(file.shape(name), " x "));
  }
}

void require_file(const std::string& path) {
  require(std::filesystem::is_regular_file(path), ExitCode::input,
          "there is no file {} (a run directory is not a file) name a file in it", path);
}

}  // namespace

std::string json_value(const std::string& path, const std::string& name) {
  require_file(path);
  const json content = read_json(path);
  const json* value = &content;
  for (std::size_t from = 0; from <= name.size();) {
    const std::size_t to = std::min(name.find('.', from), name.size());
    const std::string part = name.substr(from, to - from);
    require(value->is_object() && value->contains(part), ExitCode::input,
            "{} holds no {} (nothing there is called {}) see `ntk inspect {}`", path,
            printable(name), printable(part), path);
    value = &(*value)[part];
    from = to + 1;
  }
  return value->is_string() ? value->get<std::string>() : value->dump();
}

void inspect(const std::string& path) {
  require_file(path);
  const std::string extension = std::filesystem::path(path).extension();
  if (extension == ".json") return inspect_json(path);
  if (extension == ".safetensors") return inspect_weights(path);
  inspect_hdf5(path);
}

}  // namespace ntk::app
