// A ragged batch of samples on a device: no padding is stored or computed.
#pragma once

#include <span>
#include <vector>

#include "model/layout.hpp"

namespace ntk::model {

enum class Pooling { cls, mean, last };

// Token ids of some samples on the host; sample s owns [offsets[s], offsets[s + 1]).
struct TokenBatch {
  std::vector<std::int64_t> offsets{0};
  std::vector<std::int32_t> tokens;
  std::vector<std::int32_t> types;  // token types, all 0 for single texts
};

template <class Real>
struct Batch {
  // `first_position`: the position id of a sample's first token.
  Batch(device::Backend<Real>& backend, const TokenBatch& samples, std::int64_t first_position,
        Pooling pooling);

  LayoutPtr<Real> rows;    // all tokens
  LayoutPtr<Real> pooled;  // one row a sample
  IdsPtr<Real> tokens, types, positions;
  IdsPtr<Real> pooled_rows;  // row of the token that stands for the sample (cls, last); else null
};

}  // namespace ntk::model
