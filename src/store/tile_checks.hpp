// Whether journalled tiles still have their checksums.
#pragma once

#include <string>
#include <vector>

#include "store/tile_file.hpp"
#include "store/tile_states.hpp"

namespace ntk::store {

// What a rank finds damaged, of which the first few are told for all ranks together.
class Damages {
 public:
  void add(const std::string& line);
  // A tile in some datasets.
  void add(std::int64_t tile, const std::vector<std::string>& datasets, const std::string& why,
           const std::string& consequence);
  std::int64_t tell(const parallel::Communicator& comm) const;  // collective; the number of all

 private:
  std::vector<std::string> lines_;
  std::int64_t count_ = 0;
};

// Sums of all ranks in place; the time is the slowest one's. Collective.
void add_up_ranks(const parallel::Communicator& comm, Checked& checked);

// Collective. Checks every journalled entry, the work divided over the ranks; damaged ones are
// told, struck from the journal and from `states`. The ranges of a sound sum are not looked at.
Checked check_journal(const parallel::Communicator& comm, const std::string& path,
                      const TileFile& file, const KernelSpec& spec, TileStates& states);

}  // namespace ntk::store
