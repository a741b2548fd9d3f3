// The files that one kernel file is made of over its life in a run directory, and what a start
// finds of them and does about it.
#pragma once

#include <string>
#include <vector>

#include "store/kernel_file.hpp"
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

// The units that the requested file is to hold.
TileStates wanted_of(const KernelSpec& spec, const FileRequest& request);

}  // namespace ntk::store
