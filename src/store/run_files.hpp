// The files that one kernel file is made of over its life in a run directory, and what a start
// finds of them.
#pragma once

#include <string>

#include "store/kernel_file.hpp"

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
};

// One rank: finds or makes the file, and leaves it closed.
KernelWriter::State prepare(const std::string& directory, const FileNames& names,
                            const KernelSpec& spec);

}  // namespace ntk::store
