// Checkpoint and the writer of safetensors.hpp.
#include <algorithm>
#include <filesystem>
#include <fstream>

#include "base/error.hpp"
#include "base/sha256.hpp"
#include "base/text.hpp"
#include "model/safetensors.hpp"
#include "model/strict_json.hpp"

namespace ntk::model {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

const std::string single_file = "model.safetensors";

// tensor -> shard of an index file. A shard is a plain file name: nothing outside the directory.
std::map<std::string, std::string> read_index(const std::string& path) {
  const json index = parse_strict_json(read_small_file(path), path);
  const auto map = index.find("weight_map");
  require(map != index.end() && map->is_object() && !map->empty(), ExitCode::input,
          "{} names no shards (it has no table weight_map) fetch the model again", path);
  std::map<std::string, std::string> shards;
  for (const auto& [tensor, file] : map->items()) {
    const std::string name = file.is_string() ? file.get<std::string>() : "";
    require(name.ends_with(".safetensors") && fs::path(name).filename() == name &&
                printable(name) == name,
            ExitCode::input,
            "{} puts tensor {} into {} (not the name of a .safetensors file beside it) fetch the "
            "model again",
            path, printable(tensor), printable(file.dump(-1, ' ', true)));
    shards.emplace(tensor, name);
  }
  return shards;
}

}  // namespace

Checkpoint::Checkpoint(const std::string& directory) : directory_(directory) {
  const auto path_of = [&](const std::string& name) {
    return (fs::path(directory) / name).string();
  };
  const std::string index = path_of(single_file + ".index.json");
  std::error_code error;
  if (!fs::exists(path_of(single_file), error) && fs::exists(index, error)) {
    file_of_ = read_index(index);
    for (const auto& [tensor, name] : file_of_) {
      const auto& file = files_.try_emplace(name, path_of(name)).first->second;
      require(file.has(tensor), ExitCode::input,
              "{} lacks tensor {} (the index says it is there) fetch the model again", file.path(),
              printable(tensor));
    }
    return;
  }
  for (const char* other : {"pytorch_model.bin", "pytorch_model.bin.index.json"}) {
    require(fs::exists(path_of(single_file), error) || !fs::exists(path_of(other), error),
            ExitCode::input,
            "no file {} ({} beside it is a pickle, which can run code when it is read) load the "
            "model with transformers and convert it to safetensors with save_pretrained(...)",
            path_of(single_file), other);
  }
  const SafetensorsFile& file = files_.try_emplace(single_file, path_of(single_file)).first->second;
  for (const auto& [tensor, info] : file.tensors()) file_of_.emplace(tensor, single_file);
}

std::vector<std::string> Checkpoint::names() const {
  std::vector<std::string> all;
  for (const auto& [tensor, file] : file_of_) all.push_back(tensor);
  return all;
}

const SafetensorsFile& Checkpoint::file_of(const std::string& name) const {
  const auto found = file_of_.find(name);
  if (found == file_of_.end()) {
    fail(ExitCode::input,
         "the model in {} has no tensor {} (the nearest name is {}) check the model", directory_,
         printable(name), printable(nearest(name, names())));
  }
  return files_.at(found->second);
}

std::string Checkpoint::sha256() const {
  Sha256 hash;
  for (const auto& [name, file] : files_) hash.update(file.bytes());
  return hash.hex();
}

void write_safetensors(const std::string& path, const std::map<std::string, NamedTensor>& tensors,
                       const std::map<std::string, std::string>& metadata) {
  json header = json::object();
  if (!metadata.empty()) header["__metadata__"] = metadata;
  std::size_t offset = 0;
  for (const auto& [name, tensor] : tensors) {
    std::int64_t elements = 1;
    for (const std::int64_t size : tensor.shape) elements *= size;
    ensure(elements == static_cast<std::int64_t>(tensor.data.size()),
           "tensor {} has {} elements, its shape asks for {}", name, tensor.data.size(), elements);
    const std::size_t end = offset + tensor.data.size() * sizeof(float);
    header[name] = {{"dtype", "F32"}, {"shape", tensor.shape}, {"data_offsets", {offset, end}}};
    offset = end;
  }
  std::string text = header.dump();
  text.resize((text.size() + 7) / 8 * 8, ' ');  // so that tensors are aligned
  const std::uint64_t header_bytes = text.size();

  const std::string partial = path + ".partial";
  std::ofstream file(partial, std::ios::binary | std::ios::trunc);
  file.write(reinterpret_cast<const char*>(&header_bytes), sizeof(header_bytes));
  file << text;
  for (const auto& [name, tensor] : tensors) {
    file.write(reinterpret_cast<const char*>(tensor.data.data()),
               static_cast<std::streamsize>(tensor.data.size() * sizeof(float)));
  }
  file.close();
  std::error_code error;
  if (file) fs::rename(partial, path, error);
  require(file.good() && !error, ExitCode::io,
          "cannot write {} ({}) check the folder, its permissions and free space", path,
          error ? error.message() : "writing failed");
}

}  // namespace ntk::model
