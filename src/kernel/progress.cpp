#include "kernel/progress.hpp"

#include <thread>
#include <utility>

#include "base/log.hpp"
#include "parallel/mpi.hpp"

namespace ntk::kernel {

namespace {
constexpr int tag = 7;
constexpr auto between_lines = std::chrono::seconds(10);
constexpr auto between_messages = std::chrono::seconds(1);
constexpr auto between_looks = std::chrono::milliseconds(5);
}  // namespace

Progress::Progress(MPI_Comm comm, std::int64_t tiles, double operations, double rate)
    : tiles_(tiles),
      operations_(operations),
      rate_(rate),
      start_(std::chrono::steady_clock::now()),
      printed_(start_),
      sent_(start_) {
  parallel::check_mpi(MPI_Comm_dup(comm, &comm_), "duplicating a communicator");
  MPI_Comm_rank(comm_, &rank_);
  MPI_Comm_size(comm_, &ranks_);
}

Progress::~Progress() {
  // Unwinding after an error: the job ends in MPI_Abort, and freeing is collective.
  if (pending_.empty() && done_.last == ranks_) MPI_Comm_free(&comm_);
}

double Progress::seconds() const {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
}

void Progress::count(const Report& report) {
  done_.tiles += report.tiles;
  done_.operations += report.operations;
  done_.last += report.last;
}

void Progress::send(const Report& report) {
  if (rank_ == 0) {
    count(report);
    return;
  }
  pending_.push_back({report, MPI_REQUEST_NULL});
  auto& p = pending_.back();
  parallel::check_mpi(MPI_Isend(&p.report, 3, MPI_DOUBLE, 0, tag, comm_, &p.request),
                      "sending progress");
}

void Progress::advance(std::int64_t tiles, double operations) {
  unsent_.tiles += static_cast<double>(tiles);
  unsent_.operations += operations;
  const auto now = std::chrono::steady_clock::now();
  if (rank_ == 0 || now - sent_ > between_messages) {
    send(std::exchange(unsent_, {0, 0, 0}));
    sent_ = now;
  }
  poll();
}

void Progress::poll() {
  while (!pending_.empty()) {
    int sent = 0;
    parallel::check_mpi(MPI_Test(&pending_.front().request, &sent, MPI_STATUS_IGNORE),
                        "sending progress");
    if (!sent) break;
    pending_.pop_front();
  }
  if (rank_ != 0) return;
  for (int waiting = 1; waiting;) {
    MPI_Status status;
    parallel::check_mpi(MPI_Iprobe(MPI_ANY_SOURCE, tag, comm_, &waiting, &status),
                        "receiving progress");
    if (!waiting) break;
    Report report;
    parallel::check_mpi(
        MPI_Recv(&report, 3, MPI_DOUBLE, status.MPI_SOURCE, tag, comm_, MPI_STATUS_IGNORE),
        "receiving progress");
    count(report);
  }
  if (std::chrono::steady_clock::now() - printed_ > between_lines) print();
}

void Progress::print() {
  printed_ = std::chrono::steady_clock::now();
  const double elapsed = seconds(), speed = done_.operations / elapsed;
  if (speed <= 0) {
    log::info("kernel: 0 of {} tiles, first ones under way for {:.0f} s", tiles_, elapsed);
    return;
  }
  log::info(
      "kernel: {:.0f} of {} tiles, {:.0f} % of the work, {:.1f} GFLOP/s ({:.0f} % of the GEMM "
      "rate), {:.0f} s to go",
      done_.tiles, tiles_, 100 * done_.operations / operations_, speed / 1e9, 100 * speed / rate_,
      (operations_ - done_.operations) / speed);
}

void Progress::wait_for_all() {
  unsent_.last = 1;
  send(unsent_);
  while (rank_ == 0 ? done_.last < ranks_ : !pending_.empty()) {
    poll();
    std::this_thread::sleep_for(between_looks);
  }
  MPI_Request all = MPI_REQUEST_NULL;
  parallel::check_mpi(MPI_Ibarrier(comm_, &all), "waiting for all ranks");
  for (int arrived = 0; !arrived;) {
    parallel::check_mpi(MPI_Test(&all, &arrived, MPI_STATUS_IGNORE), "waiting for all ranks");
    if (!arrived) std::this_thread::sleep_for(between_looks);
  }
  done_.last = ranks_;
}

}  // namespace ntk::kernel
