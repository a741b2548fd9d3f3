// Whether journalled tiles still have their checksums.
#pragma once

#include "store/tile_file.hpp"
#include "store/tile_states.hpp"

namespace ntk::store {

// Collective. Checks every journalled entry, the work divided over the ranks; damaged ones are
// told, struck from the journal and from `states`. The ranges of a sound sum are not looked at.
// Returns the number of damaged entries.
std::int64_t check_journal(const parallel::Communicator& comm, const TileFile& file,
                           const KernelSpec& spec, TileStates& states);

}  // namespace ntk::store
