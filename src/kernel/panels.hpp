// The sample sets of a kernel cut into panels, and the tiles between panels.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "model/batch.hpp"
#include "store/kernel_file.hpp"

namespace ntk::kernel {

// A run of samples of one set, short enough to be one side of a tile.
struct Panel {
  int set = 0;                          // 0 = training set
  std::int64_t first = 0, samples = 0;  // within the set, in the kernel's order
  std::int64_t tokens = 0;
};

// Samples of one set in the kernel's order.
struct SampleSet {
  std::string name;  // "" = training set
  model::TokenBatch tokens;
  std::int64_t samples() const { return static_cast<std::int64_t>(tokens.offsets.size()) - 1; }
};

class Panels {
 public:
  // starts[s]: first sample of each panel of set s, and the set's size.
  Panels(std::vector<SampleSet> sets, const std::vector<std::vector<std::int64_t>>& starts);

  const std::vector<SampleSet>& sets() const { return sets_; }
  const std::vector<Panel>& all() const { return panels_; }
  const Panel& at(int panel) const { return panels_[static_cast<std::size_t>(panel)]; }
  // Panel numbers of set s are [first_of(s), first_of(s + 1)).
  int first_of(int set) const { return first_[static_cast<std::size_t>(set)]; }
  // The tile grid of set s against the training set, in kernel rows.
  store::TileGrid grid(int set, std::int64_t rows_per_sample) const;
  // (row panel, column panel) of a tile, as numbers into all().
  std::pair<int, int> of_tile(int set, std::int64_t tile) const;
  model::TokenBatch tokens(int panel) const;

 private:
  std::vector<SampleSet> sets_;
  std::vector<Panel> panels_;
  std::vector<int> first_;
};

}  // namespace ntk::kernel
