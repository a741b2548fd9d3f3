// Model directories for tests: a committed fixture with something changed.
#pragma once

#include <filesystem>
#include <map>
#include <string>

#include "model/safetensors.hpp"
#include "support/files.hpp"

namespace ntk::test {

using Tensors = std::map<std::string, model::NamedTensor>;

// Writes the fixture `name` into `folder`, its tensors as `change` left them; gives back its path.
template <class Change>
std::string changed_model(const TemporaryFolder& folder, const std::string& name, Change change) {
  const std::string from = fixtures() + "/models/" + name, to = folder.path(name);
  const model::Checkpoint checkpoint(from);
  Tensors tensors;
  for (const auto& tensor : checkpoint.names()) {
    if (checkpoint.file_of(tensor).info(tensor).dtype != "F32") continue;  // counters, unused
    tensors[tensor] = {checkpoint.shape(tensor), checkpoint.read<float>(tensor)};
  }
  change(tensors);
  std::filesystem::create_directory(to);
  std::filesystem::copy_file(from + "/config.json", to + "/config.json");
  model::write_safetensors(to + "/model.safetensors", tensors);
  return to;
}

}  // namespace ntk::test
