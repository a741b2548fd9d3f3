// The features under a head: one forward pass of the body, in batches of bounded memory.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "model/model.hpp"

namespace ntk::finetune {

// First samples of the batches that samples are cut into, and their number at the end. Sample s has
// tokens [offsets[s], offsets[s + 1]). Follows from the tokens alone, so that a sample's features
// do not depend on who computes them.
std::vector<std::int64_t> feature_batches(std::span<const std::int64_t> offsets);

// Pooled features of samples [first, last), (samples, hidden) row-major. Error(numerical) where one
// is not finite.
std::vector<double> pooled_features(device::Backend<float>& backend,
                                    const model::Model<float>& model,
                                    const model::TokenBatch& samples, std::int64_t first,
                                    std::int64_t last);

}  // namespace ntk::finetune
