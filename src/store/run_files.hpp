// The files that one kernel file is made of over its life in a run directory, and what a start
// finds of them and does about it.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "store/kernel_file.hpp"
#include "store/tile_import.hpp"
#include "store/tile_states.hpp"

namespace ntk::store {

struct FileNames {
  FileNames(const std::string& directory, const std::string& name)
      : complete(directory + "/" + name),
        partial(complete + ".partial"),
        undo(partial + ".undo"),
        fresh(partial + ".new") {}
  std::string complete;  // the final name
  std::string partial;   // while it is being made
  std::string undo;      // metadata of `partial` before the last step
  std::string fresh;     // a layout that is not whole yet

  // An unfinished file with fewer samples, until the larger one is complete.
  std::string aside(std::int64_t samples) const;
  std::vector<std::string> asides() const;  // those that are there
};

// What a start found or made.
struct Prepared {
  FileState state = FileState::fresh;
  std::vector<std::string> sources;  // files whose tiles are to be taken
};

// One rank: finds or makes the file, and leaves it closed. Throws as KernelWriter does.
Prepared prepare(const std::string& directory, const KernelSpec& spec, const FileRequest& request);

// One rank, when the file is complete: removes what was set aside for it.
void remove_asides(const FileNames& names, const KernelSpec& spec);

// Files whose tiles a start takes, or would take: one that is to be mended or grown, which must be
// usable, and what can be used of others.
std::vector<std::unique_ptr<TileSource>> find_sources(const FileNames& names,
                                                      const KernelSpec& spec,
                                                      const FileRequest& request);

// Bytes that a new file will have written: of a share only its own units.
std::int64_t bytes_needed(const KernelSpec& spec, const FileRequest& request,
                          const std::vector<std::unique_ptr<TileSource>>& sources);
// Error(io) when that is more than is free where `directory` lies.
void check_space(const std::string& directory, std::int64_t needed, std::int64_t available);

// The units that the requested file is to hold.
TileStates wanted_of(const KernelSpec& spec, const FileRequest& request);

}  // namespace ntk::store
