#include "jacobian/matches.hpp"

#include <algorithm>
#include <deque>
#include <tuple>

namespace ntk::jacobian {

template <class Real>
MatchEntries<Real>::MatchEntries(device::Backend<Real>& backend, const model::Factor<Real>& factor,
                                 int copies)
    : width_(factor.outputs) {
  const auto& offsets = factor.layout->offsets();
  std::vector<std::tuple<std::int32_t, std::int64_t, std::int64_t>> uses;  // id, sample, row
  for (std::int64_t i = 0; i < factor.layout->samples(); ++i) {
    for (std::int64_t r = offsets[static_cast<std::size_t>(i)];
         r < offsets[static_cast<std::size_t>(i) + 1]; ++r) {
      uses.emplace_back(factor.ids->host()[static_cast<std::size_t>(r)], i, r);
    }
  }
  std::sort(uses.begin(), uses.end());
  std::vector<std::int64_t> first, rows;
  for (std::size_t u = 0; u < uses.size(); ++u) {
    const auto& [id, sample, row] = uses[u];
    const bool same_id = u > 0 && std::get<0>(uses[u - 1]) == id;
    if (!same_id || std::get<1>(uses[u - 1]) != sample) {
      const auto entry = static_cast<std::int64_t>(sample_.size());
      if (!same_id) runs_.push_back({id, entry, entry});
      first.push_back(static_cast<std::int64_t>(rows.size()));
      sample_.push_back(sample);
      runs_.back().last = entry + 1;
    }
    rows.push_back(row);
  }
  first.push_back(static_cast<std::int64_t>(rows.size()));
  const auto count = static_cast<std::int64_t>(sample_.size());
  sums_ = model::Buffer<Real>(backend, copies * count * width_);
  const device::Array<std::int64_t, Real> device_first(backend,
                                                       std::span<const std::int64_t>(first));
  const device::Array<std::int64_t, Real> device_rows(backend, std::span<const std::int64_t>(rows));
  backend.sum_entries(count, device_first.data(), device_rows.data(), factor.layout->rows(), copies,
                      width_, factor.cotangents->data(), sums_.data());
}

template <class Real>
void contract_matches(device::Backend<Real>& backend, const Settings& s,
                      std::span<const model::Factor<Real>* const> factors,
                      std::span<const PairTile> tiles,
                      const std::vector<std::unique_ptr<MatchEntries<Real>>>& entries) {
  using Block = typename device::Backend<Real>::MatchBlock;
  using Run = typename device::Backend<Real>::MatchRun;
  std::deque<std::vector<Run>> runs;
  // Class planes add to the same entries when only the class diagonal is kept: one launch a plane.
  for (int plane = 0; plane < s.copies; ++plane) {
    std::vector<Block> blocks;
    for (const auto& tile : tiles) {
      const auto& p = *entries[static_cast<std::size_t>(tile.p)];
      const auto& q = *entries[static_cast<std::size_t>(tile.q)];
      const std::int64_t samples_p = factors[static_cast<std::size_t>(tile.p)]->layout->samples();
      const std::int64_t samples_q = factors[static_cast<std::size_t>(tile.q)]->layout->samples();
      if (plane == 0) {
        auto& shared = runs.emplace_back();
        auto b = q.runs().begin();
        for (const auto& a : p.runs()) {
          while (b != q.runs().end() && b->id < a.id) ++b;
          if (b == q.runs().end()) break;
          if (b->id == a.id) shared.push_back({a.first, a.last, b->first, b->last});
        }
      }
      const auto& shared = runs[static_cast<std::size_t>(&tile - tiles.data())];
      const std::int64_t ld = s.tile_rows(samples_q);
      for (int d = s.class_diagonal ? plane : 0; d < (s.class_diagonal ? plane + 1 : s.copies);
           ++d) {
        double* corner =
            s.class_diagonal ? tile.data : tile.data + plane * samples_p * ld + d * samples_q;
        blocks.push_back(
            {p.sums(plane), q.sums(d), p.sample().data(), q.sample().data(), shared, corner, ld});
      }
    }
    backend.contract_matches(blocks, factors[0]->outputs);
  }
}

template class MatchEntries<float>;
template class MatchEntries<double>;
template void contract_matches(device::Backend<float>&, const Settings&,
                               std::span<const model::Factor<float>* const>,
                               std::span<const PairTile>,
                               const std::vector<std::unique_ptr<MatchEntries<float>>>&);
template void contract_matches(device::Backend<double>&, const Settings&,
                               std::span<const model::Factor<double>* const>,
                               std::span<const PairTile>,
                               const std::vector<std::unique_ptr<MatchEntries<double>>>&);

}  // namespace ntk::jacobian
