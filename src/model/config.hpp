// config.json of a Hugging Face directory: the shape of the model.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "device/activation.hpp"

namespace ntk::model {

using device::Activation;

struct ModelConfig {
  std::string model_type;                  // one of supported_families()
  std::vector<std::string> architectures;  // class names, e.g. BertForSequenceClassification
  std::int64_t hidden_size = 0;
  std::int64_t num_hidden_layers = 0;
  std::int64_t num_attention_heads = 0;  // divides hidden_size
  std::int64_t intermediate_size = 0;
  std::int64_t max_position_embeddings = 0;  // rows of the position table
  std::int64_t type_vocab_size = 0;
  std::int64_t vocab_size = 0;
  std::int64_t pad_token_id = 0;
  double layer_norm_eps = 0;
  double initializer_range = 0;  // standard deviation of weights drawn anew
  Activation hidden_act = Activation::gelu_erf;
  std::int64_t num_labels = 0;
  std::vector<std::string> labels;  // names by number; empty when the file names none

  // The longest sample the position table serves. RoBERTa counts positions from pad_token_id + 1.
  std::int64_t max_tokens() const;
};

// Families this program can run, by their model_type.
const std::vector<std::string>& supported_families();

// Reads and checks DIRECTORY/config.json. Keys the model's shape does not depend on are ignored;
// keys that may be absent have the defaults of the transformers library. Throws Error(input).
ModelConfig read_config(const std::string& directory);

}  // namespace ntk::model
