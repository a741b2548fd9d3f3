// A family of models: its segments' forward functions and the table of its tensor names. Nothing
// about derivatives: those follow from the tape.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "model/batch.hpp"
#include "model/config.hpp"
#include "model/parameters.hpp"
#include "model/safetensors.hpp"
#include "model/tape.hpp"

namespace ntk::model {

// What a job decides about a model beside its weights.
struct Choices {
  Pooling pooling = Pooling::cls;
  bool own_head = false;     // head = "checkpoint": the model's own pooler and classifier
  std::int64_t outputs = 1;  // C; ignored with own_head
};

// The parts of a family that do not depend on precision.
struct Architecture {
  std::vector<std::string> segments;  // embeddings, layer.0, ..., [pooler], head
  std::vector<ParameterInfo> parameters;
  std::int64_t hidden = 0;
  std::int64_t outputs = 0;
  std::int64_t first_position = 0;  // position id of a sample's first token
};

template <class Real>
class Family {
 public:
  virtual ~Family() = default;
  // Runs segment s on `input` (the previous segment's output; -1 for the first segment).
  virtual Value forward(int segment, Tape<Real>& tape, const Batch<Real>& batch,
                        Value input) const = 0;
  // What the head's linear map is applied to: one row a sample. `input` is the head's.
  virtual Value features(Tape<Real>& tape, const Batch<Real>& batch, Value input) const = 0;
};

// Lists segments and parameters of `config`'s family and checks that the checkpoint has them with
// the right shapes. Throws Error(input), naming tensor, shape found and shape needed.
Architecture make_architecture(const ModelConfig& config, const Checkpoint& checkpoint,
                               const Choices& choices);

template <class Real>
std::unique_ptr<Family<Real>> make_family(const ModelConfig& config, const Choices& choices,
                                          const Architecture& architecture);

}  // namespace ntk::model
