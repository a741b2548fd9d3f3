// Embedding tables, exactly and without forming their gradients: the gradient of table row v is
// the sum D of the cotangents at the sample's tokens with id v, and two rows' product is the sum
// over the ids they share. Entries (id, sample) are sorted by id, so that an id shared by many
// samples is one GEMM.
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

  struct Run {  // entries [first, last) have this id
    std::int32_t id;
    std::int64_t first, last;
  };
  const std::vector<Run>& runs() const { return runs_; }
  const std::vector<std::int64_t>& sample() const { return sample_; }  // of each entry
  const Real* sums(int copy) const {                                   // (entries, width)
    return sums_.data() + copy * static_cast<std::int64_t>(sample_.size()) * width_;
  }

 private:
  std::int64_t width_;
  std::vector<Run> runs_;
  std::vector<std::int64_t> sample_;
  model::Buffer<Real> sums_;
};

template <class Real>
void contract_matches(device::Backend<Real>& backend, const Settings& settings,
                      std::span<const model::Factor<Real>* const> factors,
                      std::span<const PairTile> tiles,
                      const std::vector<std::unique_ptr<MatchEntries<Real>>>& entries);

}  // namespace ntk::jacobian
