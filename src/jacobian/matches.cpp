#include "jacobian/matches.hpp"

#include <algorithm>
#include <numeric>

namespace ntk::jacobian {

template <class Real>
MatchEntries<Real>::MatchEntries(device::Backend<Real>& backend, const model::Factor<Real>& factor,
                                 int copies)
    : samples_(factor.layout->samples()), width_(factor.outputs) {
  const auto& offsets = factor.layout->offsets();
  const auto id = [&](std::int64_t row) {
    return factor.ids->host()[static_cast<std::size_t>(row)];
  };
  std::vector<std::int64_t> rows(static_cast<std::size_t>(factor.layout->rows()));
  std::iota(rows.begin(), rows.end(), std::int64_t{0});
  std::vector<std::int64_t> first, first_row;
  std::vector<std::int32_t> ids;
  for (std::int64_t i = 0; i < samples_; ++i) {
    const std::int64_t begin = offsets[static_cast<std::size_t>(i)];
    const std::int64_t end = offsets[static_cast<std::size_t>(i) + 1];
    std::stable_sort(rows.begin() + begin, rows.begin() + end,
                     [&](std::int64_t a, std::int64_t b) { return id(a) < id(b); });
    first.push_back(static_cast<std::int64_t>(ids.size()));
    for (std::int64_t r = begin; r < end; ++r) {
      const std::int32_t of_row = id(rows[static_cast<std::size_t>(r)]);
      if (r > begin && ids.back() == of_row) continue;
      ids.push_back(of_row);
      first_row.push_back(r);
    }
  }
  const auto entries = static_cast<std::int64_t>(ids.size());
  first.push_back(entries);
  first_row.push_back(factor.layout->rows());
  using Indices = device::Array<std::int64_t, Real>;
  first_ = Indices(backend, std::span<const std::int64_t>(first));
  ids_ = device::Array<std::int32_t, Real>(backend, std::span<const std::int32_t>(ids));
  sums_ = model::Buffer<Real>(backend, copies * entries * width_);
  const Indices device_first(backend, std::span<const std::int64_t>(first_row));
  const Indices device_rows(backend, std::span<const std::int64_t>(rows));
  backend.sum_entries(entries, device_first.data(), device_rows.data(), factor.layout->rows(),
                      copies, width_, factor.cotangents->data(), sums_.data());
}

template <class Real>
void contract_matches(device::Backend<Real>& backend, const Settings& s,
                      std::span<const model::Factor<Real>* const> factors,
                      std::span<const PairTile> tiles,
                      const std::vector<std::unique_ptr<MatchEntries<Real>>>& entries) {
  // Class planes add to the same entries when only the class diagonal is kept: one launch a plane.
  for (int plane = 0; plane < s.copies; ++plane) {
    std::vector<typename device::Backend<Real>::MatchBlock> blocks;
    for (const auto& tile : tiles) {
      const auto p = static_cast<std::size_t>(tile.p), q = static_cast<std::size_t>(tile.q);
      const std::int64_t samples_p = factors[p]->layout->samples();
      const std::int64_t samples_q = factors[q]->layout->samples();
      const std::int64_t ld = s.tile_rows(samples_q);
      for (int d = s.class_diagonal ? plane : 0; d < (s.class_diagonal ? plane + 1 : s.copies);
           ++d) {
        double* corner =
            s.class_diagonal ? tile.data : tile.data + plane * samples_p * ld + d * samples_q;
        blocks.push_back({entries[p]->side(plane), entries[q]->side(d), corner, ld});
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
