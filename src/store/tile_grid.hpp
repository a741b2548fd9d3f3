// How a kernel matrix is cut into tiles. A pure value: no files, no MPI.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "base/error.hpp"

namespace ntk::store {

// Rows and columns are kernel rows (r = sample * rows_per_sample + output). Panel p covers rows
// [row_starts[p], row_starts[p + 1]). A symmetric grid has equal row and column panels and only the
// tiles with row panel >= column panel, numbered I(I+1)/2 + J; a rectangular one is numbered by
// rows.
struct TileGrid {
  std::vector<std::int64_t> row_starts{0};     // panels + 1 entries
  std::vector<std::int64_t> column_starts{0};  // panels + 1 entries
  bool symmetric = true;

  std::int64_t row_panels() const { return static_cast<std::int64_t>(row_starts.size()) - 1; }
  std::int64_t column_panels() const { return static_cast<std::int64_t>(column_starts.size()) - 1; }
  std::int64_t rows() const { return row_starts.back(); }
  std::int64_t columns() const { return column_starts.back(); }

  std::int64_t tile_count() const {
    return symmetric ? row_panels() * (row_panels() + 1) / 2 : row_panels() * column_panels();
  }
  std::int64_t tile_index(std::int64_t row_panel, std::int64_t column_panel) const {
    if (!symmetric) return row_panel * column_panels() + column_panel;
    ensure(row_panel >= column_panel, "tile ({}, {}) above the diagonal", row_panel, column_panel);
    return row_panel * (row_panel + 1) / 2 + column_panel;
  }
  // (row panel, column panel) of a tile.
  std::pair<std::int64_t, std::int64_t> panels_of(std::int64_t tile) const {
    if (!symmetric) return {tile / column_panels(), tile % column_panels()};
    std::int64_t row = 0;
    while ((row + 1) * (row + 2) / 2 <= tile) ++row;
    return {row, tile - row * (row + 1) / 2};
  }
};

}  // namespace ntk::store
