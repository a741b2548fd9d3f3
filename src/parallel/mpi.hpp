// MPI handles as values with owners, and error codes as exceptions.
#pragma once

#include <mpi.h>

#include <string>

namespace ntk::parallel {

// Throws Error(internal) with MPI's own text unless rc is MPI_SUCCESS. Needs MPI_ERRORS_RETURN on
// the communicator in use, which ScopedMpi sets on the world and communicators inherit.
void check_mpi(int rc, const char* what);

// Name and version of the MPI library in its own words. May be called before MPI_Init.
std::string mpi_library();

// Initialises MPI in its scope, unless the caller's process has it already. Throws Error(resources)
// when the library cannot give the thread level.
class ScopedMpi {
 public:
  ScopedMpi(int* argc, char*** argv, int required_level = MPI_THREAD_FUNNELED);
  ~ScopedMpi();
  ScopedMpi(const ScopedMpi&) = delete;
  ScopedMpi& operator=(const ScopedMpi&) = delete;

  int level() const { return level_; }  // MPI_THREAD_...
  const char* level_name() const;       // "funneled", ...

 private:
  int level_ = MPI_THREAD_SINGLE;
  bool owner_ = false;
};

// A communicator, borrowed (never freed) or managed (freed with the last owner; move-only). Empty
// ones stand for "this rank takes no part".
class Communicator {
 public:
  Communicator() = default;
  static Communicator borrow(MPI_Comm comm) { return {comm, false}; }
  static Communicator manage(MPI_Comm comm) { return {comm, true}; }
  ~Communicator() { release(); }
  Communicator(Communicator&& other) noexcept;
  Communicator& operator=(Communicator&& other) noexcept;

  explicit operator bool() const { return comm_ != MPI_COMM_NULL; }
  operator MPI_Comm() const { return comm_; }
  int rank() const { return rank_; }
  int size() const { return size_; }

  // Collective. Ranks with colour < 0 get an empty communicator; others keep their order.
  Communicator split(int colour) const;
  Communicator duplicate() const;

 private:
  Communicator(MPI_Comm comm, bool managed);
  void release() noexcept;

  MPI_Comm comm_ = MPI_COMM_NULL;
  bool managed_ = false;
  int rank_ = -1;
  int size_ = 0;
};

// Collective: this rank's place among the ranks of `comm` that share memory with it.
struct NodePlace {
  int rank = 0;   // within the node
  int ranks = 1;  // on this node
  int node = 0;   // number of the node, in the order of its first rank
  int nodes = 1;
};
NodePlace node_place(MPI_Comm comm);

}  // namespace ntk::parallel
