#include "parallel/collectives.hpp"

#include <algorithm>
#include <chrono>
#include <numeric>
#include <thread>

#include "base/heartbeat.hpp"
#include "parallel/mpi.hpp"

namespace ntk::parallel {

namespace {

constexpr std::size_t kPiece = std::size_t{1} << 28;  // elements a call, far below int32 counts

// Calls body(offset, count) over pieces of `total`.
template <class Body>
void in_pieces(std::size_t total, Body&& body) {
  for (std::size_t offset = 0; offset < total; offset += kPiece) {
    body(offset, static_cast<int>(std::min(kPiece, total - offset)));
  }
}

}  // namespace

template <class T>
void all_reduce(MPI_Comm comm, std::span<T> values, MPI_Op operation) {
  in_pieces(values.size(), [&](std::size_t offset, int count) {
    check_mpi(
        MPI_Allreduce(MPI_IN_PLACE, values.data() + offset, count, mpi_type<T>(), operation, comm),
        "MPI_Allreduce");
  });
}
template void all_reduce(MPI_Comm, std::span<int>, MPI_Op);
template void all_reduce(MPI_Comm, std::span<std::int64_t>, MPI_Op);
template void all_reduce(MPI_Comm, std::span<double>, MPI_Op);

void sum_to(MPI_Comm comm, std::vector<double>& values, int root) {
  int rank = 0;
  check_mpi(MPI_Comm_rank(comm, &rank), "MPI_Comm_rank");
  in_pieces(values.size(), [&](std::size_t offset, int count) {
    double* piece = values.data() + offset;
    check_mpi(MPI_Reduce(rank == root ? MPI_IN_PLACE : piece, piece, count, MPI_DOUBLE, MPI_SUM,
                         root, comm),
              "MPI_Reduce");
  });
}

void broadcast(MPI_Comm comm, void* bytes, std::size_t count, int root) {
  in_pieces(count, [&](std::size_t offset, int piece) {
    check_mpi(MPI_Bcast(static_cast<char*>(bytes) + offset, piece, MPI_BYTE, root, comm),
              "MPI_Bcast");
  });
}

void broadcast(MPI_Comm comm, std::string& text, int root) {
  std::int64_t length = static_cast<std::int64_t>(text.size());
  broadcast(comm, &length, sizeof length, root);
  text.resize(static_cast<std::size_t>(length));
  broadcast(comm, text.data(), text.size(), root);
}

std::vector<std::string> gather(MPI_Comm comm, std::string_view text, int root) {
  const Communicator all = Communicator::borrow(comm);
  const int length = static_cast<int>(text.size());
  std::vector<int> lengths(static_cast<std::size_t>(all.size())), starts(lengths.size());
  check_mpi(MPI_Gather(&length, 1, MPI_INT, lengths.data(), 1, MPI_INT, root, comm), "MPI_Gather");
  std::exclusive_scan(lengths.begin(), lengths.end(), starts.begin(), 0);
  std::string joined(static_cast<std::size_t>(starts.back() + lengths.back()), '\0');
  check_mpi(MPI_Gatherv(text.data(), length, MPI_CHAR, joined.data(), lengths.data(), starts.data(),
                        MPI_CHAR, root, comm),
            "MPI_Gatherv");
  std::vector<std::string> texts;
  if (all.rank() == root) {
    for (std::size_t i = 0; i < lengths.size(); ++i) {
      texts.push_back(
          joined.substr(static_cast<std::size_t>(starts[i]), static_cast<std::size_t>(lengths[i])));
    }
  }
  return texts;
}

std::vector<std::string> all_gather(MPI_Comm comm, std::string_view text) {
  std::vector<std::string> texts = gather(comm, text, 0);
  texts.resize(static_cast<std::size_t>(Communicator::borrow(comm).size()));
  for (std::string& one : texts) broadcast(comm, one, 0);
  return texts;
}

void agree(MPI_Comm comm, ExitCode code, const std::string& text) {
  const Communicator all = Communicator::borrow(comm);
  const bool failed = code != ExitCode::complete;
  const int failures = all_sum(comm, failed ? 1 : 0);
  if (failures == 0) return;
  const int first = all_min(comm, failed ? all.rank() : all.size());
  int value = static_cast<int>(code);
  broadcast(comm, &value, sizeof value, first);
  std::string message = text;
  broadcast(comm, message, first);
  if (failures < all.size()) message = fmt::format("rank {}: {}", first, message);
  throw AgreedError(static_cast<ExitCode>(value), message);
}

stop::Reason agree_on_stop(MPI_Comm comm) {
  const int asked = all_max(comm, static_cast<int>(stop::requested()));
  if (asked != 0) stop::request(static_cast<stop::Reason>(asked));
  return static_cast<stop::Reason>(asked);
}

void wait_idle(MPI_Comm comm) {
  MPI_Request request = MPI_REQUEST_NULL;
  check_mpi(MPI_Ibarrier(comm, &request), "MPI_Ibarrier");
  for (int done = 0; !done;) {
    check_mpi(MPI_Test(&request, &done, MPI_STATUS_IGNORE), "MPI_Test");
    if (done) return;
    heartbeat::beat();  // whoever works is watched where it works
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
}

}  // namespace ntk::parallel
