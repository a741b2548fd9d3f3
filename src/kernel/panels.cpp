#include "kernel/panels.hpp"

namespace ntk::kernel {

Panels::Panels(std::vector<SampleSet> sets, const std::vector<std::vector<std::int64_t>>& starts)
    : sets_(std::move(sets)) {
  for (std::size_t s = 0; s < sets_.size(); ++s) {
    first_.push_back(static_cast<int>(panels_.size()));
    for (std::size_t p = 0; p + 1 < starts[s].size(); ++p) {
      const std::int64_t first = starts[s][p], last = starts[s][p + 1];
      const auto& offsets = sets_[s].tokens.offsets;
      panels_.push_back(
          {static_cast<int>(s), first, last - first,
           offsets[static_cast<std::size_t>(last)] - offsets[static_cast<std::size_t>(first)]});
    }
  }
  first_.push_back(static_cast<int>(panels_.size()));
}

store::TileGrid Panels::grid(int set, std::int64_t rows_per_sample) const {
  const auto starts = [&](int of) {
    std::vector<std::int64_t> rows{0};
    for (int p = first_of(of); p < first_of(of + 1); ++p) {
      rows.push_back(rows.back() + at(p).samples * rows_per_sample);
    }
    return rows;
  };
  return {starts(set), starts(0), set == 0};
}

std::pair<int, int> Panels::of_tile(int set, std::int64_t tile) const {
  const auto [row, column] = grid(set, 1).panels_of(tile);
  return {first_of(set) + static_cast<int>(row), static_cast<int>(column)};
}

model::TokenBatch Panels::tokens(int panel) const {
  const Panel& p = at(panel);
  const auto& from = sets_[static_cast<std::size_t>(p.set)].tokens;
  model::TokenBatch batch;
  const std::int64_t base = from.offsets[static_cast<std::size_t>(p.first)];
  const std::int64_t end = from.offsets[static_cast<std::size_t>(p.first + p.samples)];
  for (std::int64_t s = 1; s <= p.samples; ++s) {
    batch.offsets.push_back(from.offsets[static_cast<std::size_t>(p.first + s)] - base);
  }
  batch.tokens.assign(from.tokens.begin() + base, from.tokens.begin() + end);
  batch.types.assign(from.types.begin() + base, from.types.begin() + end);
  return batch;
}

}  // namespace ntk::kernel
