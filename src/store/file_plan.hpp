// What a writer of a kernel file would find and need, found out without changing anything.
#pragma once

#include <string>
#include <vector>

#include "store/run_files.hpp"
#include "store/tile_states.hpp"

namespace ntk::store {

struct FilePlan {
  FileState state = FileState::fresh;
  TileStates there;                 // what is journalled or would be taken from other files
  std::int64_t complete_bytes = 0;  // kernel.h5
  std::int64_t partial_bytes = 0;   // kernel.h5.partial, the partial sums of ranges included
  std::int64_t mirror_bytes = 0;    // that mirroring writes beside the tiles
  std::int64_t needed_bytes = 0;    // of free space, for a new file
  std::int64_t free_bytes = 0;
};

// One process. `unknown` are keys of the identity that the caller has not found out: those of a
// file that is there are taken. Throws as KernelWriter does for files that it cannot use and for
// too little room.
FilePlan plan_file(const std::string& directory, KernelSpec spec,
                   const std::vector<std::string>& unknown);

}  // namespace ntk::store
