// Bodies whose weights are drawn anew, all of them or those of the last layers, as the transformers
// library initialises the encoder families (BertPreTrainedModel and RobertaPreTrainedModel,
// _init_weights): linear maps and embedding tables normal with standard deviation
// initializer_range, biases 0, layer norms 1 and 0, the padding token's row 0.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "model/family.hpp"

namespace ntk::model {

// Marks the tensors that do not keep the checkpoint's values: none for "pretrained", all but the
// head's for "random" (a pooler is of the body), those of the last `layers` encoder layers for
// "mixed". Error(usage) where "mixed" asks for no layer or for more than there are.
void mark_drawn(Architecture& architecture, const std::string& initialisation, std::int64_t layers);

// Values of a tensor, row-major. Each has a generator of its own, from the seed and its name, so
// that they do not depend on which others are drawn.
std::vector<float> drawn_values(const ParameterInfo& parameter, double std, std::int64_t seed);

}  // namespace ntk::model
