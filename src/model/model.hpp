// A model ready to run: architecture, parameters chosen for differentiation, weights on a device.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "model/family.hpp"
#include "model/head.hpp"

namespace ntk::model {

// Everything about a model that does not depend on precision or device; shared by all ranks.
struct ModelDescription {
  std::string path;
  ModelConfig config;
  Choices choices;
  Architecture architecture;
  std::shared_ptr<const Checkpoint> checkpoint;
  Head head;                             // drawn, read, fitted, or the checkpoint's own
  std::int64_t initialisation_seed = 1;  // of parameters that are drawn anew
};

// Marks the parameters that match any of `include` and none of `exclude` (glob patterns over
// tensor names). Error(usage) for a pattern that matches nothing (unless they come from a preset
// made for several families), or when nothing is left.
void select_parameters(Architecture& architecture, const std::vector<std::string>& include,
                       const std::vector<std::string>& exclude, bool preset = false);

// Whether weights are loaded, or only given their place: for a device that computes nothing.
enum class Contents { loaded, none };

template <class Real>
class Model {
 public:
  // Loads the weights in precision Real. fp32 weights are read through the mapped file, which all
  // ranks of a node share (the page cache); on the CPU they are used in place.
  Model(device::Backend<Real>& backend, const ModelDescription& description,
        Contents contents = Contents::loaded);

  const Architecture& architecture() const { return description_.architecture; }
  int segments() const { return static_cast<int>(architecture().segments.size()); }
  // Samples on the device, in the form the segments take.
  Batch<Real> batch(const TokenBatch& samples) const {
    return Batch<Real>(backend_, samples, architecture().first_position,
                       description_.choices.pooling);
  }
  Tape<Real> tape() const { return Tape<Real>(backend_, weights_); }
  Value forward(int segment, Tape<Real>& tape, const Batch<Real>& batch, Value input) const {
    return family_->forward(segment, tape, batch, input);
  }
  // The features under the head, from the output of the last segment before it.
  Value features(Tape<Real>& tape, const Batch<Real>& batch, Value input) const {
    return family_->features(tape, batch, input);
  }

 private:
  device::Backend<Real>& backend_;
  const ModelDescription& description_;
  std::unique_ptr<Family<Real>> family_;
  std::vector<device::Array<Real, Real>> owned_;
  Weights<Real> weights_;
};

}  // namespace ntk::model
