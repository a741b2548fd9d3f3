#include "parallel/mpi.hpp"

#include <string>
#include <utility>

#include "base/error.hpp"

namespace ntk::parallel {

void check_mpi(int rc, const char* what) {
  if (rc == MPI_SUCCESS) return;
  char text[MPI_MAX_ERROR_STRING] = "unknown error";
  int length = 0;
  MPI_Error_string(rc, text, &length);
  fail(ExitCode::internal, "{} failed (MPI says: {}) check the MPI installation and the network",
       what, text);
}

std::string mpi_library() {
  char text[MPI_MAX_LIBRARY_VERSION_STRING] = {};
  int length = 0;
  check_mpi(MPI_Get_library_version(text, &length), "MPI_Get_library_version");
  return {text, static_cast<std::size_t>(length)};
}

ScopedMpi::ScopedMpi(int* argc, char*** argv, int required_level) {
  int running = 0;
  MPI_Initialized(&running);
  if (running) {
    check_mpi(MPI_Query_thread(&level_), "MPI_Query_thread");
  } else {
    check_mpi(MPI_Init_thread(argc, argv, required_level, &level_), "MPI_Init_thread");
    owner_ = true;
  }
  check_mpi(MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN), "MPI_Comm_set_errhandler");
  if (level_ < required_level) {
    const std::string name = level_name();
    if (owner_) MPI_Finalize();
    fail(ExitCode::resources,
         "the MPI library offers thread level \"{}\" only (level {} of {} needed) use an MPI built "
         "with thread support",
         name, level_, required_level);
  }
}

ScopedMpi::~ScopedMpi() {
  int finished = 0;
  MPI_Finalized(&finished);
  if (owner_ && !finished) MPI_Finalize();
}

const char* ScopedMpi::level_name() const {
  switch (level_) {
    case MPI_THREAD_SINGLE:
      return "single";
    case MPI_THREAD_FUNNELED:
      return "funneled";
    case MPI_THREAD_SERIALIZED:
      return "serialized";
    case MPI_THREAD_MULTIPLE:
      return "multiple";
  }
  return "unknown";
}

Communicator::Communicator(MPI_Comm comm, bool managed) : comm_(comm), managed_(managed) {
  if (comm == MPI_COMM_NULL) return;
  check_mpi(MPI_Comm_rank(comm, &rank_), "MPI_Comm_rank");
  check_mpi(MPI_Comm_size(comm, &size_), "MPI_Comm_size");
}

Communicator::Communicator(Communicator&& other) noexcept
    : comm_(std::exchange(other.comm_, MPI_COMM_NULL)),
      managed_(std::exchange(other.managed_, false)),
      rank_(std::exchange(other.rank_, -1)),
      size_(std::exchange(other.size_, 0)) {}

Communicator& Communicator::operator=(Communicator&& other) noexcept {
  if (this != &other) {
    release();
    comm_ = std::exchange(other.comm_, MPI_COMM_NULL);
    managed_ = std::exchange(other.managed_, false);
    rank_ = std::exchange(other.rank_, -1);
    size_ = std::exchange(other.size_, 0);
  }
  return *this;
}

void Communicator::release() noexcept {
  if (!managed_ || comm_ == MPI_COMM_NULL) return;
  int finished = 0;
  MPI_Finalized(&finished);
  if (!finished) MPI_Comm_free(&comm_);
}

Communicator Communicator::split(int colour) const {
  MPI_Comm part = MPI_COMM_NULL;
  check_mpi(MPI_Comm_split(comm_, colour < 0 ? MPI_UNDEFINED : colour, rank_, &part),
            "MPI_Comm_split");
  return manage(part);
}

Communicator Communicator::duplicate() const {
  MPI_Comm copy = MPI_COMM_NULL;
  check_mpi(MPI_Comm_dup(comm_, &copy), "MPI_Comm_dup");
  return manage(copy);
}

NodePlace node_place(MPI_Comm comm) {
  const Communicator world = Communicator::borrow(comm);
  MPI_Comm handle = MPI_COMM_NULL;
  check_mpi(MPI_Comm_split_type(comm, MPI_COMM_TYPE_SHARED, world.rank(), MPI_INFO_NULL, &handle),
            "MPI_Comm_split_type");
  const Communicator node = Communicator::manage(handle);
  NodePlace place{node.rank(), node.size(), 0, 1};
  // Count the nodes' first ranks up to this node's own.
  const int first = node.rank() == 0 ? 1 : 0;
  int up_to_here = 0;
  check_mpi(MPI_Scan(&first, &up_to_here, 1, MPI_INT, MPI_SUM, comm), "MPI_Scan");
  check_mpi(MPI_Allreduce(&first, &place.nodes, 1, MPI_INT, MPI_SUM, comm), "MPI_Allreduce");
  place.node = up_to_here - 1;
  check_mpi(MPI_Bcast(&place.node, 1, MPI_INT, 0, node), "MPI_Bcast");
  return place;
}

}  // namespace ntk::parallel
