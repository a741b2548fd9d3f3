// BERT and RoBERTa: post-norm encoders that differ in tensor names and position numbering.
#pragma once

#include "model/family.hpp"

namespace ntk::model::families {

bool is_encoder(const std::string& model_type);

Architecture encoder_architecture(const ModelConfig& config, const Checkpoint& checkpoint,
                                  const Choices& choices);

template <class Real>
std::unique_ptr<Family<Real>> make_encoder(const ModelConfig& config, const Choices& choices,
                                           const Architecture& architecture);

}  // namespace ntk::model::families
