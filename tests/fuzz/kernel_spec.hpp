// The kernel that the seeds of kernel files hold and that the target `resume` goes on with: as
// small as one can be that has batches, groups, an evaluation set, classes, targets and two ranges.
#pragma once

#include "store/kernel_file.hpp"

namespace ntk::fuzz {

// `grown`: its second batch is there too.
inline store::KernelSpec kernel_spec(bool grown = true) {
  store::KernelSpec spec;
  spec.identity = {{"run.seed", 1}, {"model.weights", "abc"}, {"data.samples", grown ? 3 : 2}};
  spec.provenance = {{"created", "then"}};
  spec.groups = {"head"};
  spec.ranges = 2;
  spec.error_samples = 1;
  store::KernelSet train;
  train.grid.row_starts = {0, 2};
  train.samples.source_row = {2, 0};
  train.samples.label = {1, 0};
  if (grown) {
    train.grid.row_starts.push_back(3);
    train.samples.source_row.push_back(1);
    train.samples.label.push_back(1);
  }
  train.grid.column_starts = train.grid.row_starts;
  train.samples.classes = {"no", "yes"};
  spec.sets.push_back(train);
  store::KernelSet other;
  other.name = "other";
  other.grid.symmetric = false;
  other.grid.row_starts = {0, 1};
  other.grid.column_starts = train.grid.row_starts;
  other.samples.target = {0.5, -1};
  other.samples.label_sets = 2;
  spec.sets.push_back(other);
  return spec;
}

// Entries of one unit.
inline store::TileData tile_data(const store::KernelSpec& spec, const store::Unit& unit) {
  const store::TileGrid& grid = spec.sets[static_cast<std::size_t>(unit.set)].grid;
  const auto [row, column] = grid.panels_of(unit.tile);
  const auto extent = [](const std::vector<std::int64_t>& starts, std::int64_t panel) {
    return starts[static_cast<std::size_t>(panel) + 1] - starts[static_cast<std::size_t>(panel)];
  };
  const std::int64_t rows = extent(grid.row_starts, row);
  const std::int64_t entries = rows * extent(grid.column_starts, column);
  store::TileData data;
  data.total.assign(static_cast<std::size_t>(entries), 1.5);
  data.groups.assign(spec.groups.size(), data.total);
  if (store::carries_outputs(grid, unit)) {
    data.outputs.assign(static_cast<std::size_t>(rows * spec.output_columns), 0.25);
  }
  return data;
}

inline std::vector<store::Unit> units_of(const store::KernelSpec& spec) {
  std::vector<store::Unit> units;
  for (int set = 0; set < static_cast<int>(spec.sets.size()); ++set) {
    const auto& grid = spec.sets[static_cast<std::size_t>(set)].grid;
    for (std::int64_t tile = 0; tile < grid.tile_count(); ++tile) {
      for (int range = 0; range < spec.ranges; ++range) units.push_back({set, tile, range});
    }
  }
  return units;
}

}  // namespace ntk::fuzz
