// The last steps of a kernel file, when all its units are there.
#pragma once

#include "store/run_files.hpp"
#include "store/tile_file.hpp"
#include "store/tile_states.hpp"

namespace ntk::store {

// The sum of a tile's ranges in their order, ((r0 + r1) + r2) + ..., row-major.
std::vector<double> add_up(const TileFile& file, const KernelSpec& spec, int set, std::int64_t tile,
                           std::size_t matrix);

// Collective: writes and journals the sums that `written` has not got, each by one rank. Nothing to
// do with a single range.
void add_ranges(const parallel::Communicator& comm, const TileFile& file, const KernelSpec& spec,
                TileStates& written);

// Collective: fills the upper triangle of the training kernel, or without `mirror` clears one that
// an earlier finish began; and writes the measured error.
void fill_last(const parallel::Communicator& comm, const TileFile& file, const KernelSpec& spec,
               bool mirror, const MeasuredError& error);

// First rank, with the file closed everywhere: all changes of metadata, made all or nothing by the
// undo copy, then the final name.
void conclude(const FileNames& names, const KernelSpec& spec, bool mirrored,
              const nlohmann::json& closing);

}  // namespace ntk::store
