#include "model/config.hpp"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <limits>
#include <map>

#include "base/error.hpp"
#include "base/text.hpp"
#include "model/strict_json.hpp"

namespace ntk::model {
namespace {

using nlohmann::json;

// The keys of one config.json, each checked as it is taken. A key with value null counts as absent.
class Keys {
 public:
  Keys(json object, std::string path) : object_(std::move(object)), path_(std::move(path)) {}

  const json* find(const char* key) const {
    const auto found = object_.find(key);
    return found == object_.end() || found->is_null() ? nullptr : &*found;
  }

  // An integer of at least `low`; `fallback` when absent, required when that is negative.
  std::int64_t integer(const char* key, std::int64_t low, std::int64_t fallback = -1) const {
    const json* value = find(key);
    if (value == nullptr && fallback >= 0) return fallback;
    require_key(value, key);
    const bool fits = value->is_number_integer() &&
                      value->get<double>() <= std::numeric_limits<std::int32_t>::max() &&
                      value->get<std::int64_t>() >= low;
    if (!fits) fail_key(key, *value, fmt::format("must be an integer, {} or more", low));
    return value->get<std::int64_t>();
  }

  std::string text(const char* key, const char* fallback = nullptr) const {
    const json* value = find(key);
    if (value == nullptr && fallback != nullptr) return fallback;
    require_key(value, key);
    if (!value->is_string()) fail_key(key, *value, "must be text");
    return value->get<std::string>();
  }

  double positive(const char* key, double fallback) const {
    const json* value = find(key);
    if (value == nullptr) return fallback;
    const bool fits =
        value->is_number() && std::isfinite(value->get<double>()) && value->get<double>() > 0;
    if (!fits) fail_key(key, *value, "must be a number above 0");
    return value->get<double>();
  }

  bool flag(const char* key, bool fallback) const {
    const json* value = find(key);
    if (value == nullptr) return fallback;
    if (!value->is_boolean()) fail_key(key, *value, "must be true or false");
    return value->get<bool>();
  }

  std::vector<std::string> texts(const char* key) const {
    const json* value = find(key);
    std::vector<std::string> read;
    if (value == nullptr) return read;
    const auto is_text = [](const json& element) { return element.is_string(); };
    if (!value->is_array() || !std::ranges::all_of(*value, is_text)) {
      fail_key(key, *value, "must be a list of texts");
    }
    for (const json& element : *value) read.push_back(element.get<std::string>());
    return read;
  }

  [[noreturn]] void fail_key(const char* key, const json& value, const std::string& why) const {
    fail(ExitCode::input, "{} = {} in {} cannot be used ({}) check the model", key,
         printable(value.dump(-1, ' ', true)), path_, why);
  }

  const std::string& path() const { return path_; }

 private:
  void require_key(const json* value, const char* key) const {
    require(value != nullptr, ExitCode::input,
            "{} lacks {} (the model's shape depends on it) fetch the model again", path_, key);
  }

  json object_;
  std::string path_;
};

Activation activation(const Keys& keys) {
  static const std::map<std::string, Activation> known = {
      {"gelu", Activation::gelu_erf},
      {"gelu_new", Activation::gelu_tanh},
      {"gelu_pytorch_tanh", Activation::gelu_tanh},
      {"relu", Activation::relu},
      {"tanh", Activation::tanh},
      {"silu", Activation::silu},
      {"swish", Activation::silu},
  };
  const std::string name = keys.text("hidden_act", "gelu");
  const auto found = known.find(name);
  if (found == known.end()) {
    std::vector<std::string> names;
    for (const auto& [key, value] : known) names.push_back(key);
    keys.fail_key("hidden_act", name, "supported are " + join(names));
  }
  return found->second;
}

// Names of the classes in order, from {"0": name, ...}; empty when absent.
std::vector<std::string> label_names(const Keys& keys) {
  const json* table = keys.find("id2label");
  std::vector<std::string> labels;
  if (table == nullptr) return labels;
  if (!table->is_object() || table->empty()) {
    keys.fail_key("id2label", *table, "must be a table of names");
  }
  for (std::size_t i = 0; i < table->size(); ++i) {
    const auto name = table->find(std::to_string(i));
    if (name == table->end() || !name->is_string()) {
      keys.fail_key("id2label", *table, fmt::format("has no name of class {}", i));
    }
    labels.push_back(name->get<std::string>());
  }
  return labels;
}

void refuse_unsupported(const Keys& keys) {
  const std::string positions = keys.text("position_embedding_type", "absolute");
  if (positions != "absolute") {
    keys.fail_key("position_embedding_type", positions, "only absolute positions are supported");
  }
  for (const char* key : {"is_decoder", "is_encoder_decoder", "add_cross_attention"}) {
    if (keys.flag(key, false)) keys.fail_key(key, true, "only encoders are supported");
  }
}

}  // namespace

std::int64_t ModelConfig::max_tokens() const {
  return model_type == "roberta" ? max_position_embeddings - pad_token_id - 1
                                 : max_position_embeddings;
}

const std::vector<std::string>& supported_families() {
  static const std::vector<std::string> families = {"bert", "roberta"};
  return families;
}

ModelConfig read_config(const std::string& directory) {
  const std::string path = (std::filesystem::path(directory) / "config.json").string();
  const Keys keys(parse_strict_json(read_small_file(path), path), path);

  ModelConfig config;
  config.model_type = keys.text("model_type");
  config.architectures = keys.texts("architectures");
  const auto& families = supported_families();
  require(std::ranges::find(families, config.model_type) != families.end(), ExitCode::input,
          "model_type \"{}\"{} of {} is not supported (supported are {}) choose another model",
          printable(config.model_type),
          config.architectures.empty() ? "" : " (" + printable(config.architectures[0]) + ")",
          directory, join(families));
  refuse_unsupported(keys);

  config.hidden_size = keys.integer("hidden_size", 1);
  config.num_hidden_layers = keys.integer("num_hidden_layers", 1);
  config.num_attention_heads = keys.integer("num_attention_heads", 1);
  config.intermediate_size = keys.integer("intermediate_size", 1);
  config.max_position_embeddings = keys.integer("max_position_embeddings", 1);
  config.vocab_size = keys.integer("vocab_size", 1);
  config.type_vocab_size = keys.integer("type_vocab_size", 1, 2);
  config.pad_token_id = keys.integer("pad_token_id", 0, config.model_type == "roberta" ? 1 : 0);
  config.layer_norm_eps = keys.positive("layer_norm_eps", 1e-12);
  config.initializer_range = keys.positive("initializer_range", 0.02);
  config.hidden_act = activation(keys);
  config.labels = label_names(keys);
  const auto named = static_cast<std::int64_t>(config.labels.size());
  config.num_labels = keys.integer("num_labels", 1, named > 0 ? named : 2);

  require(
      config.hidden_size % config.num_attention_heads == 0, ExitCode::input,
      "num_attention_heads = {} in {} does not divide hidden_size = {} (every head has the same "
      "width) check the model",
      config.num_attention_heads, path, config.hidden_size);
  require(named == 0 || named == config.num_labels, ExitCode::input,
          "num_labels = {} in {} contradicts id2label (it names {}) check the model",
          config.num_labels, path, named);
  require(config.pad_token_id < config.vocab_size, ExitCode::input,
          "pad_token_id = {} in {} is beyond the vocabulary (vocab_size = {}) check the model",
          config.pad_token_id, path, config.vocab_size);
  require(
      config.max_tokens() >= 1, ExitCode::input,
      "max_position_embeddings = {} in {} leaves no position (after pad_token_id = {}) check the "
      "model",
      config.max_position_embeddings, path, config.pad_token_id);
  return config;
}

}  // namespace ntk::model
