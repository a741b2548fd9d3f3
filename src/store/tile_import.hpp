// Tiles of another kernel file: of the same job, or of the same with fewer samples, complete or
// not. Growing, uniting shares and mending all come to this.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "store/tile_file.hpp"
#include "store/tile_states.hpp"

namespace ntk::store {

// A file whose tiles may be taken. Sets, tiles and journal rows are numbered as the job's.
class TileSource {
 public:
  // Local. Throws Error(usage) for another job's file and Error(io) for one that cannot be read or
  // is not laid out as a kernel file of this job is.
  TileSource(const std::string& path, const KernelSpec& spec);

  const std::string& path() const { return path_; }
  // Whether the entry is journalled here, for panels that hold the same samples in the same order.
  bool offers(int set, std::int64_t tile, int row) const;
  std::int64_t bytes(int set, std::int64_t tile, int row) const;
  // An entry's data; `damaged`: the datasets in which they are not those that were journalled.
  TileData read(int set, std::int64_t tile, int row, std::vector<std::string>& damaged) const;

 private:
  std::int64_t own_tile(int set, std::int64_t tile) const;  // its number here; -1 for none

  std::string path_;
  const KernelSpec& job_;
  KernelSpec own_;                              // the job's, with this file's panels
  std::vector<std::vector<bool>> same_panels_;  // [set][row panel]: whether this file has it too
  std::unique_ptr<TileFile> file_;
  std::unique_ptr<TileStates> states_;
};

// Collective. Takes the entries that `wanted` has and `have` has not, the work divided over the
// ranks: each is checked against the source's checksum, written, synced and journalled. Adds them
// to `have`; damaged ones are told.
Checked take_tiles(const parallel::Communicator& comm, const std::string& path,
                   const KernelSpec& spec, const TileFile& to, const TileStates& wanted,
                   TileStates& have);

}  // namespace ntk::store
