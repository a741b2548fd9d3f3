// Embedding tables, exactly and without forming their gradients: the gradient of table row v is
// the sum D of the cotangents at the sample's tokens with id v, and two rows' product is the sum
// over the ids they share.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "jacobian/contraction.hpp"
#include "jacobian/settings.hpp"
#include "model/tape.hpp"

namespace ntk::jacobian {

template <class Real>
class MatchEntries {
 public:
  MatchEntries(device::Backend<Real>& backend, const model::Factor<Real>& factor, int copies);

  typename device::Backend<Real>::MatchSide side(int copy) const {
    return {samples_, first_.data(), ids_.data(), sums_.data() + copy * ids_.size() * width_};
  }

 private:
  std::int64_t samples_, width_;
  device::Array<std::int64_t, Real> first_;  // entry of each sample
  device::Array<std::int32_t, Real> ids_;    // of each entry, ascending in a sample
  model::Buffer<Real> sums_;                 // (copies, entries, width)
};

template <class Real>
void contract_matches(device::Backend<Real>& backend, const Settings& settings,
                      std::span<const model::Factor<Real>* const> factors,
                      std::span<const PairTile> tiles,
                      const std::vector<std::unique_ptr<MatchEntries<Real>>>& entries);

}  // namespace ntk::jacobian
