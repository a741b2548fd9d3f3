#include "kernel/dispatch.hpp"

#include <thread>
#include <utility>

#include "base/heartbeat.hpp"
#include "parallel/mpi.hpp"

namespace ntk::kernel {

namespace {
constexpr int report_tag = 7, order_tag = 8;
constexpr auto between_polls = std::chrono::milliseconds(5);
constexpr auto between_reports = std::chrono::seconds(1);
constexpr auto between_lives = std::chrono::seconds(1);
// The first rank may be inside a piece of work: the next task is asked for ahead of time.
constexpr double seconds_ahead = 2;
}  // namespace

Dispatch::Dispatch(MPI_Comm comm, int tasks, Progress& progress,
                   std::function<void(std::int64_t)> counted)
    : tasks_(tasks),
      progress_(progress),
      counted_(std::move(counted)),
      polled_(Clock::now()),
      reported_(polled_),
      begun_(polled_),
      told_(polled_) {
  parallel::check_mpi(MPI_Comm_dup(comm, &comm_), "duplicating a communicator");
  MPI_Comm_rank(comm_, &rank_);
  MPI_Comm_size(comm_, &ranks_);
  next_ = ranks_;
  waiting_.resize(static_cast<std::size_t>(ranks_));
}

Dispatch::~Dispatch() {
  // Unwinding after an error: the job ends in MPI_Abort, and freeing is collective.
  if (all_over_ && sent_.empty()) MPI_Comm_free(&comm_);
}

std::optional<int> Dispatch::next() {
  if (std::exchange(first_, false)) {
    granted_ = rank_ < tasks_ ? rank_ : -1;
  } else if (rank_ == 0) {
    granted_ = next_ < tasks_ ? next_++ : -1;
  } else if (!asked_) {
    report(task);
  }
  while (!granted_ && stopped_ == stop::Reason::none) {
    poll();
    look_for_stop();
    if (!granted_) std::this_thread::sleep_for(between_polls);
  }
  asked_ = false;
  begun_ = Clock::now();
  heartbeat::beat();
  const int taken = granted_.value_or(-1);
  granted_.reset();
  if (taken < 0 || stopped_ != stop::Reason::none) return std::nullopt;
  return taken;
}

void Dispatch::tick(double done, double operations) {
  heartbeat::beat();
  unsent_.operations += operations;
  const double spent = std::chrono::duration<double>(Clock::now() - begun_).count();
  if (rank_ != 0 && !asked_ && spent * (1 - done) < seconds_ahead * done) report(task);
  exchange();
  if (stopped_ != stop::Reason::none) throw TaskDropped();
}

// Messages both ways, now and then.
void Dispatch::exchange() {
  const auto now = Clock::now();
  if (now - polled_ < between_polls) return;
  polled_ = now;
  if (rank_ == 0 || now - reported_ > between_reports) report(working);
  poll();
  look_for_stop();
}

void Dispatch::stored() {
  heartbeat::beat();
  unsent_.tiles += 1;
  exchange();
}

void Dispatch::report(Wish wish, stop::Reason reason) {
  Report out = std::exchange(unsent_, {0, 0, working, 0});
  out.wish = wish;
  out.reason = static_cast<double>(reason);
  reported_ = Clock::now();
  asked_ = asked_ || wish == task;
  if (rank_ == 0) {
    take(0, out);
    return;
  }
  Sent& sent = sent_.emplace_back(Sent{out, {}, MPI_REQUEST_NULL});
  parallel::check_mpi(MPI_Isend(&sent.report, 4, MPI_DOUBLE, 0, report_tag, comm_, &sent.request),
                      "sending progress");
}

void Dispatch::order(int rank, Order what) {
  Sent& sent = sent_.emplace_back(Sent{{}, what, MPI_REQUEST_NULL});
  parallel::check_mpi(MPI_Isend(&sent.order, 2, MPI_INT, rank, order_tag, comm_, &sent.request),
                      "sending an order");
}

// First rank: what a rank tells.
void Dispatch::take(int rank, const Report& report) {
  heard_ = true;
  progress_.add(report.tiles, report.operations);
  if (report.tiles > 0) counted_(progress_.tiles_done());
  switch (static_cast<Wish>(report.wish)) {
    case working:
      break;
    case task:
      if (stopped_ == stop::Reason::none) {
        order(rank, next_ < tasks_ ? Order{give, next_++} : Order{none_left, 0});
      }
      break;
    case stopping:
      stop(static_cast<stop::Reason>(static_cast<int>(report.reason)));
      break;
    case over:
      waiting_[static_cast<std::size_t>(rank)] = true;
      ++over_ranks_;
      break;
  }
}

// First rank: everybody drops what is under way.
void Dispatch::stop(stop::Reason reason) {
  if (stopped_ != stop::Reason::none) return;
  stopped_ = reason;
  stop::request(reason);
  for (int r = 1; r < ranks_; ++r) order(r, {stop_all, static_cast<int>(reason)});
}

void Dispatch::look_for_stop() {
  const stop::Reason wish = stop::requested();
  if (wish == stop::Reason::none || stopped_ != stop::Reason::none) return;
  if (rank_ == 0) {
    stop(wish);
  } else {
    stopped_ = wish;
    report(stopping, wish);
  }
}

// First rank: those that wait see that others are at work, so that their watchdogs keep still.
void Dispatch::tell_waiting() {
  if (!heard_ || Clock::now() - told_ < between_lives) return;
  told_ = Clock::now();
  heard_ = false;
  heartbeat::beat();
  for (int r = 1; r < ranks_; ++r) {
    if (waiting_[static_cast<std::size_t>(r)]) order(r, {alive, 0});
  }
}

void Dispatch::poll() {
  while (!sent_.empty()) {
    int arrived = 0;
    parallel::check_mpi(MPI_Test(&sent_.front().request, &arrived, MPI_STATUS_IGNORE),
                        "sending a message");
    if (!arrived) break;
    sent_.pop_front();
  }
  if (rank_ != 0) {
    receive_orders();
    return;
  }
  receive_reports();
  tell_waiting();
  progress_.print_now_and_then();
}

void Dispatch::receive_reports() {
  while (true) {
    int waiting = 0;
    MPI_Status status;
    parallel::check_mpi(MPI_Iprobe(MPI_ANY_SOURCE, report_tag, comm_, &waiting, &status),
                        "receiving progress");
    if (!waiting) return;
    Report report;
    parallel::check_mpi(
        MPI_Recv(&report, 4, MPI_DOUBLE, status.MPI_SOURCE, report_tag, comm_, MPI_STATUS_IGNORE),
        "receiving progress");
    take(status.MPI_SOURCE, report);
  }
}

void Dispatch::receive_orders() {
  while (true) {
    int waiting = 0;
    parallel::check_mpi(MPI_Iprobe(0, order_tag, comm_, &waiting, MPI_STATUS_IGNORE),
                        "receiving an order");
    if (!waiting) return;
    Order order;
    parallel::check_mpi(MPI_Recv(&order, 2, MPI_INT, 0, order_tag, comm_, MPI_STATUS_IGNORE),
                        "receiving an order");
    heartbeat::beat();
    switch (static_cast<Kind>(order.kind)) {
      case give:
        granted_ = order.value;
        break;
      case none_left:
        granted_ = -1;
        break;
      case stop_all:
        stopped_ = static_cast<stop::Reason>(order.value);
        stop::request(stopped_);
        break;
      case alive:
        break;
      case all_over:
        all_over_ = true;
        break;
    }
  }
}

void Dispatch::finish() {
  report(over);
  while (!(rank_ == 0 ? over_ranks_ == ranks_ : all_over_)) {
    poll();
    if (rank_ == 0) look_for_stop();  // the others have said their last
    std::this_thread::sleep_for(between_polls);
  }
  if (rank_ == 0) {
    all_over_ = true;
    for (int r = 1; r < ranks_; ++r) order(r, {all_over, 0});
  }
  while (!sent_.empty()) {
    poll();
    if (!sent_.empty()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

}  // namespace ntk::kernel
