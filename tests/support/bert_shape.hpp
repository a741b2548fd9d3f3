// Shapes of models and sample sets without weights or tokens, for what is computed from shapes.
#pragma once

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

#include "kernel/operations.hpp"
#include "kernel/panels.hpp"

namespace ntk::test {

// A BERT encoder's linear maps, all selected, CLS pooling, and a head of C outputs; no embeddings.
// Costs are those of fp32 on a CPU, said here so that figures in tests stay what they are.
struct BertShape {
  model::Architecture architecture;
  model::ModelConfig config;
  jacobian::Settings settings;

  BertShape(int layers, std::int64_t hidden, std::int64_t intermediate, int outputs) {
    architecture.hidden = config.hidden_size = hidden;
    architecture.outputs = settings.copies = outputs;
    config.num_hidden_layers = layers;
    settings.costs = {0.9, 60, 1.25, 2.3, 2.6, 1.0, 21};
    architecture.segments = {"embeddings"};
    for (int l = 0; l < layers; ++l) {
      architecture.segments.push_back("layer");
      const bool last = l + 1 == layers;  // there only keys and values are used on every token
      for (const bool pooled : {last, false, false, last}) add(hidden, hidden, pooled);
      add(intermediate, hidden, last);
      add(hidden, intermediate, last);
    }
    architecture.segments.push_back("head");
    add(outputs, hidden, true);
  }

 private:
  void add(std::int64_t outputs, std::int64_t inputs, bool pooled) {
    model::ParameterInfo p;
    p.shape = {outputs, inputs};
    p.segment = static_cast<int>(architecture.segments.size()) - 1;
    p.pooled = pooled;
    p.selected = true;
    architecture.parameters.push_back(p);
  }
};

inline BertShape bert_base() {
  return {12, 768, 3072, 2};
}
inline BertShape minilm() {
  return {6, 384, 1536, 2};
}

// Training samples, and those of one evaluation set (0 = none), all of `tokens` tokens.
inline kernel::Panels equal_panels(std::int64_t train, std::int64_t evaluate, std::int64_t tokens,
                                   std::int64_t batch = 1024, std::int64_t tile = 256) {
  std::vector<kernel::SampleSet> sets;
  std::vector<std::vector<std::int64_t>> starts;
  for (const std::int64_t count : {train, evaluate}) {
    if (count == 0) continue;
    auto& set = sets.emplace_back();
    auto& start = starts.emplace_back();
    for (std::int64_t i = 1; i <= count; ++i) set.tokens.offsets.push_back(i * tokens);
    for (std::int64_t b = 0; b < count; b += batch) {
      for (std::int64_t i = b; i < std::min(count, b + batch); i += tile) start.push_back(i);
    }
    start.push_back(count);
  }
  return kernel::Panels(std::move(sets), starts);
}

}  // namespace ntk::test
