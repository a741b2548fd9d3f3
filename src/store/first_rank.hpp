// Work that one rank does for all.
#pragma once

#include <exception>
#include <string>

#include "parallel/collectives.hpp"
#include "parallel/mpi.hpp"

namespace ntk::store {

// Collective around work of the first rank alone: all throw its error.
template <class Work>
void on_first(const parallel::Communicator& comm, Work work) {
  int code = 0;
  std::string text;
  if (comm.rank() == 0) {
    try {
      work();
    } catch (const Error& error) {
      code = static_cast<int>(error.code());
      text = error.what();
    } catch (const std::exception& error) {
      code = static_cast<int>(ExitCode::internal);
      text = error.what();
    }
  }
  parallel::broadcast(comm, &code, sizeof code);
  parallel::broadcast(comm, text);
  parallel::agree(comm, static_cast<ExitCode>(code), text);
}

}  // namespace ntk::store
