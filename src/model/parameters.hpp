// The parameter tensors of a model: what they are called, which are differentiated, where they
// belong in the partition of the kernel into groups.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace ntk::model {

struct ParameterInfo {
  std::string name;    // tensor name that users' patterns match; head.weight, head.bias
  std::string source;  // tensor name in the checkpoint; empty for a drawn or given head
  std::vector<std::int64_t>
      shape;              // linear maps [outputs, inputs], tables [rows, width], vectors [width]
  int segment = 0;        // index of the segment that uses it
  std::string layer;      // group under groups = "layer": embeddings, layer.3, pooler, head
  std::string part;       // group under groups = "part": layer.3.attention, ...
  bool pooled = false;    // used on one row a sample (after CLS or last-token pooling)
  bool selected = false;  // differentiated

  bool is_linear() const { return shape.size() == 2 && !is_table; }
  bool is_table = false;  // an embedding table, looked up by ids

  // How the family initialises it, and whether this model takes that for the checkpoint's values.
  enum class Fresh { normal, zeros, ones } fresh = Fresh::normal;
  std::int64_t padding_row = -1;  // of a table: initialised with zeros
  bool drawn = false;
  bool from_checkpoint() const { return !source.empty() && !drawn; }

  std::int64_t count() const {
    std::int64_t product = 1;
    for (auto extent : shape) product *= extent;
    return product;
  }
};

using ParameterId = int;  // index into the model's list

}  // namespace ntk::model
