// x0 = LN(word[id] + position[p] + type[t]);  per layer, with W x meaning a linear map with bias:
//   a = LN(x + O attention(Q x, K x, V x)),  x' = LN(a + W2 act(W1 a))
// then optionally pooler = tanh(D x_cls), then the head. Under CLS pooling only the first token of
// the last layer is needed beyond its keys and values: the layer selects it before its queries, so
// everything after lives on one token a sample.
#include "model/families/encoder.hpp"

#include <map>
#include <tuple>

#include "base/error.hpp"
#include "model/ops/ops.hpp"

namespace ntk::model::families {
namespace {

// The order in which encoder_architecture lists parameters, which the forward pass indexes by.
enum Embedding { word, position, type, embedding_gamma, embedding_beta, embedding_count };
enum Layer {
  query,
  query_bias,
  key,
  key_bias,
  value,
  value_bias,
  attention_out,
  attention_out_bias,
  attention_gamma,
  attention_beta,
  up,
  up_bias,
  down,
  down_bias,
  output_gamma,
  output_beta,
  layer_count
};
enum Dense { dense, dense_bias, dense_count };

struct Names {
  std::string prefix;              // of a checkpoint with a task head
  std::string pooler, classifier;  // of that task head, without the prefix rule
  bool positions_after_padding;    // position ids start at pad_token_id + 1
};

const std::map<std::string, Names>& families() {
  static const std::map<std::string, Names> table = {
      {"bert", {"bert.", "bert.pooler.dense", "classifier", false}},
      {"roberta", {"roberta.", "classifier.dense", "classifier.out_proj", true}}};
  return table;
}

class Lister {
 public:
  Lister(Architecture& to, const Checkpoint& from) : to_(to), from_(from) {}

  void segment(const std::string& name) { to_.segments.push_back(name); }
  bool pooled = false;  // what follows is used on one row a sample
  void tensor(const std::string& name, std::vector<std::int64_t> shape, const std::string& part,
              const std::string& source) {
    if (!source.empty()) check(source, shape);
    const int segment = static_cast<int>(to_.segments.size()) - 1;
    const std::string& layer = to_.segments.back();
    const bool table = shape.size() == 2 && source.find("embeddings.weight") != std::string::npos;
    to_.parameters.push_back(
        {name, source, std::move(shape), segment, layer, part, pooled, false, table});
  }
  // weight and bias of a linear map
  void linear(const std::string& name, std::int64_t outputs, std::int64_t inputs,
              const std::string& part, const std::string& source) {
    const bool given = !source.empty();
    tensor(name + ".weight", {outputs, inputs}, part, given ? source + ".weight" : "");
    tensor(name + ".bias", {outputs}, part, given ? source + ".bias" : "");
    to_.parameters.back().fresh = ParameterInfo::Fresh::zeros;
  }
  // weight and bias of a layer norm. Checkpoints converted from TensorFlow (bert-base-uncased among
  // them) still call these gamma and beta; patterns match the names in use today all the same.
  void norm(const std::string& name, std::int64_t width, const std::string& part) {
    using Fresh = ParameterInfo::Fresh;
    for (const auto& [now, once, fresh] : {std::tuple{".weight", ".gamma", Fresh::ones},
                                           std::tuple{".bias", ".beta", Fresh::zeros}}) {
      const bool old = !from_.has(name + now) && from_.has(name + once);
      tensor(name + now, {width}, part, name + (old ? once : now));
      to_.parameters.back().fresh = fresh;
    }
  }

 private:
  void check(const std::string& name, const std::vector<std::int64_t>& shape) const {
    require(from_.has(name), ExitCode::input,
            "the checkpoint has no tensor {} (config.json describes a model that needs it) "
            "use the weights that belong to this config.json",
            name);
    require(from_.shape(name) == shape, ExitCode::input,
            "tensor {} has shape [{}] (config.json needs [{}]) use the weights that belong to this "
            "config.json",
            name, fmt::join(from_.shape(name), ", "), fmt::join(shape, ", "));
  }

  Architecture& to_;
  const Checkpoint& from_;
};

template <class Real>
class Encoder final : public Family<Real> {
 public:
  Encoder(const ModelConfig& config, const Choices& choices, std::int64_t outputs)
      : config_(config), choices_(choices), outputs_(outputs) {}

  Value forward(int segment, Tape<Real>& tape, const Batch<Real>& batch,
                Value input) const override {
    const int layers = static_cast<int>(config_.num_hidden_layers);
    if (segment == 0) return embeddings(tape, batch);
    if (segment <= layers) return layer(segment - 1, tape, batch, input);
    const int after = embedding_count + layers * layer_count;
    if (choices_.own_head && segment == layers + 1) {
      const Value y =
          ops::linear(tape, input, after + dense, after + dense_bias, config_.hidden_size);
      return ops::activation(tape, y, device::Activation::tanh);
    }
    const int head = after + (choices_.own_head ? dense_count : 0);
    return ops::linear(tape, features(tape, batch, input), head + dense, head + dense_bias,
                       outputs_);
  }

  Value features(Tape<Real>& tape, const Batch<Real>& batch, Value input) const override {
    return choices_.pooling == Pooling::mean ? ops::mean_pool(tape, input, batch.pooled) : input;
  }

 private:
  Value embeddings(Tape<Real>& tape, const Batch<Real>& batch) const {
    const Value sum = ops::embedding<Real>(
        tape, batch.rows, config_.hidden_size,
        {{word, batch.tokens}, {position, batch.positions}, {type, batch.types}});
    return ops::layer_norm(tape, sum, embedding_gamma, embedding_beta, config_.layer_norm_eps);
  }

  Value layer(int index, Tape<Real>& tape, const Batch<Real>& batch, Value x) const {
    const int first = embedding_count + index * layer_count;
    const std::int64_t d = config_.hidden_size;
    const auto linear = [&](Value in, int weight, std::int64_t width) {
      return ops::linear(tape, in, first + weight, first + weight + 1, width);
    };
    const auto norm = [&](Value in, int gamma) {
      return ops::layer_norm(tape, in, first + gamma, first + gamma + 1, config_.layer_norm_eps);
    };
    const bool last = index + 1 == config_.num_hidden_layers;
    const Value asked = last && choices_.pooling != Pooling::mean
                            ? ops::select(tape, x, batch.pooled_rows, batch.pooled)
                            : x;
    // One after the other: as arguments they would be recorded in an order that the compiler picks,
    // and the order of the record decides bits.
    const Value q = linear(asked, query, d);
    const Value k = linear(x, key, d);
    const Value v = linear(x, value, d);
    const Value mixed =
        ops::attention(tape, q, k, v, static_cast<int>(config_.num_attention_heads));
    const Value a = norm(ops::add(tape, linear(mixed, attention_out, d), asked), attention_gamma);
    const Value inner =
        ops::activation(tape, linear(a, up, config_.intermediate_size), config_.hidden_act);
    return norm(ops::add(tape, linear(inner, down, d), a), output_gamma);
  }

  ModelConfig config_;
  Choices choices_;
  std::int64_t outputs_;
};

}  // namespace

bool is_encoder(const std::string& model_type) {
  return families().contains(model_type);
}

Architecture encoder_architecture(const ModelConfig& config, const Checkpoint& checkpoint,
                                  const Choices& choices) {
  const Names& names = families().at(config.model_type);
  const std::string probe = "embeddings.word_embeddings.weight";
  const std::string prefix = checkpoint.has(names.prefix + probe) ? names.prefix : "";
  require(checkpoint.has(prefix + probe), ExitCode::input,
          "the checkpoint has no tensor {} or {}{} (these are not the weights of a {} model) check "
          "model.path",
          probe, names.prefix, probe, config.model_type);
  Architecture a;
  a.hidden = config.hidden_size;
  a.first_position = names.positions_after_padding ? config.pad_token_id + 1 : 0;
  Lister list(a, checkpoint);
  const std::int64_t d = config.hidden_size, inner = config.intermediate_size;
  const auto same = [&](const std::string& name, std::vector<std::int64_t> shape,
                        const std::string& part) {
    list.tensor(prefix + name, std::move(shape), part, prefix + name);
  };
  const auto norm = [&](const std::string& name, const std::string& part) {
    list.norm(prefix + name, d, part);
  };
  const auto same_linear = [&](const std::string& name, std::int64_t out, std::int64_t in,
                               const std::string& part) {
    list.linear(prefix + name, out, in, part, prefix + name);
  };
  list.segment("embeddings");
  same("embeddings.word_embeddings.weight", {config.vocab_size, d}, "embeddings");
  same("embeddings.position_embeddings.weight", {config.max_position_embeddings, d}, "embeddings");
  same("embeddings.token_type_embeddings.weight", {config.type_vocab_size, d}, "embeddings");
  a.parameters[word].padding_row = config.pad_token_id;
  if (names.positions_after_padding) a.parameters[position].padding_row = config.pad_token_id;
  norm("embeddings.LayerNorm", "embeddings");
  for (std::int64_t i = 0; i < config.num_hidden_layers; ++i) {
    const std::string layer = fmt::format("layer.{}", i), in = fmt::format("encoder.layer.{}.", i);
    list.segment(layer);
    const bool one_token = i + 1 == config.num_hidden_layers && choices.pooling != Pooling::mean;
    for (const char* map : {"query", "key", "value"}) {
      list.pooled = one_token && std::string(map) == "query";
      same_linear(in + "attention.self." + map, d, d, layer + ".attention");
    }
    list.pooled = one_token;
    same_linear(in + "attention.output.dense", d, d, layer + ".attention");
    norm(in + "attention.output.LayerNorm", layer + ".norms");
    same_linear(in + "intermediate.dense", inner, d, layer + ".mlp");
    same_linear(in + "output.dense", d, inner, layer + ".mlp");
    norm(in + "output.LayerNorm", layer + ".norms");
  }
  list.pooled = true;
  a.outputs = choices.outputs;
  if (choices.own_head) {
    const std::string classifier = names.classifier + ".weight";
    require(checkpoint.has(classifier), ExitCode::input,
            "the checkpoint has no tensor {} (it was not fine-tuned for classification) use "
            "model.head = \"random\" or a head file",
            classifier);
    a.outputs = config.num_labels;
    list.segment("pooler");
    list.linear(names.pooler, d, d, "pooler", names.pooler);
  }
  list.segment("head");
  list.linear("head", a.outputs, d, "head", choices.own_head ? names.classifier : "");
  return a;
}

template <class Real>
std::unique_ptr<Family<Real>> make_encoder(const ModelConfig& config, const Choices& choices,
                                           const Architecture& architecture) {
  return std::make_unique<Encoder<Real>>(config, choices, architecture.outputs);
}

template std::unique_ptr<Family<float>> make_encoder(const ModelConfig&, const Choices&,
                                                     const Architecture&);
template std::unique_ptr<Family<double>> make_encoder(const ModelConfig&, const Choices&,
                                                      const Architecture&);

}  // namespace ntk::model::families
