// Writes a BERT model of random weights and a data file of random tokens with two classes: what
// takes the time of the kernel stage does not depend on what weights and texts say.
#include <hdf5.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>
#include <random>

#include "model/safetensors.hpp"
#include "store/hdf5.hpp"

namespace {

using namespace ntk;
using model::NamedTensor;
using nlohmann::json;

struct Shape {
  std::int64_t layers, width, heads, inner, vocabulary, positions;
};
const std::map<std::string, Shape> shapes = {{"bert-base", {12, 768, 12, 3072, 30522, 512}},
                                             {"minilm", {6, 384, 12, 1536, 30522, 512}},
                                             {"tiny", {2, 32, 2, 64, 200, 512}}};

class RandomModel {
 public:
  explicit RandomModel(const Shape& s) : s_(s) {
    const std::string embeddings = "embeddings.";
    tensor(embeddings + "word_embeddings.weight", {s.vocabulary, s.width});
    tensor(embeddings + "position_embeddings.weight", {s.positions, s.width});
    tensor(embeddings + "token_type_embeddings.weight", {2, s.width});
    norm(embeddings + "LayerNorm");
    for (std::int64_t l = 0; l < s.layers; ++l) {
      const std::string in = "encoder.layer." + std::to_string(l) + ".";
      for (const char* map : {"query", "key", "value"}) {
        linear(in + "attention.self." + map, s.width, s.width);
      }
      linear(in + "attention.output.dense", s.width, s.width);
      norm(in + "attention.output.LayerNorm");
      linear(in + "intermediate.dense", s.inner, s.width);
      linear(in + "output.dense", s.width, s.inner);
      norm(in + "output.LayerNorm");
    }
  }

  void write(const std::string& folder) const {
    std::filesystem::create_directories(folder);
    model::write_safetensors(folder + "/model.safetensors", tensors_);
    const json config = {{"model_type", "bert"},
                         {"architectures", {"BertModel"}},
                         {"hidden_act", "gelu"},
                         {"hidden_size", s_.width},
                         {"intermediate_size", s_.inner},
                         {"layer_norm_eps", 1e-12},
                         {"max_position_embeddings", s_.positions},
                         {"num_attention_heads", s_.heads},
                         {"num_hidden_layers", s_.layers},
                         {"pad_token_id", 0},
                         {"type_vocab_size", 2},
                         {"vocab_size", s_.vocabulary}};
    std::ofstream file(folder + "/config.json");
    file << config.dump(1) << "\n";
    require(file.good(), ExitCode::io, "cannot write {}/config.json", folder);
  }

 private:
  void tensor(const std::string& name, std::vector<std::int64_t> shape, float mean = 0) {
    std::int64_t count = 1;
    for (auto extent : shape) count *= extent;
    NamedTensor& made = tensors_[name] = {std::move(shape), {}};
    made.data.resize(static_cast<std::size_t>(count));
    for (auto& x : made.data) x = mean + normal_(bits_);
  }
  void linear(const std::string& name, std::int64_t outputs, std::int64_t inputs) {
    tensor(name + ".weight", {outputs, inputs});
    tensor(name + ".bias", {outputs});
  }
  void norm(const std::string& name) {
    tensor(name + ".weight", {s_.width}, 1);
    tensor(name + ".bias", {s_.width});
  }

  Shape s_;
  std::mt19937 bits_{1};
  std::normal_distribution<float> normal_{0, 0.02F};
  std::map<std::string, NamedTensor> tensors_;
};

void write_data(const std::string& path, const Shape& s, std::int64_t samples,
                std::int64_t tokens) {
  std::mt19937 bits(2);
  std::uniform_int_distribution<std::int32_t> draw(1, static_cast<std::int32_t>(s.vocabulary) - 1);
  std::vector<std::int32_t> ids, label;
  std::vector<std::int64_t> offsets{0};
  for (std::int64_t i = 0; i < samples; ++i) {
    for (std::int64_t t = 0; t < tokens; ++t) ids.push_back(draw(bits));
    offsets.push_back(static_cast<std::int64_t>(ids.size()));
    label.push_back(static_cast<std::int32_t>(i % 2));
  }
  auto file = store::h5::create_file(path);
  store::h5::write(file, "tokens", ids);
  store::h5::write(file, "offsets", offsets);
  store::h5::write(file, "label", label);
  store::h5::write_attribute(store::h5::open_object(file, "label"), "classes",
                             std::vector<std::string>{"negative", "positive"});
  file.close("close " + path);
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App cli("Writes a model of random weights or a data file of random tokens.");
  std::string shape = "bert-base", model, data;
  std::int64_t samples = 1024, tokens = 64;
  std::vector<std::string> names;
  for (const auto& [name, s] : shapes) names.push_back(name);
  cli.add_option("--shape", shape)->check(CLI::IsMember(names));
  cli.add_option("--model", model, "folder for config.json and model.safetensors");
  cli.add_option("--data", data, "data file (HDF5)");
  cli.add_option("--samples", samples)->check(CLI::PositiveNumber);
  cli.add_option("--tokens", tokens, "of every sample")->check(CLI::PositiveNumber);
  CLI11_PARSE(cli, argc, argv);
  try {
    if (!model.empty()) RandomModel(shapes.at(shape)).write(model);
    if (!data.empty()) write_data(data, shapes.at(shape), samples, tokens);
    return 0;
  } catch (const std::exception& error) {
    std::cerr << error.what() << "\n";
    return 1;
  }
}
