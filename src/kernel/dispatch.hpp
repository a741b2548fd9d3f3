// Who makes which task. All ranks hold one list of tasks; each starts with the one of its own
// number, and asks the first rank for another as it comes to the end of the last. So a slow rank
// makes fewer. The first rank, which computes like the others, answers between pieces of its work.
// The same messages carry progress there, and the wish to stop everywhere.
#pragma once

#include <mpi.h>

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <vector>

#include "base/stop.hpp"
#include "kernel/progress.hpp"

namespace ntk::kernel {

// Thrown out of a task that is dropped, by `Dispatch::tick`.
struct TaskDropped {};

class Dispatch {
 public:
  // Collective. `progress` is the first rank's; `counted` is called there with the number of tiles
  // that are finished on all ranks whenever it grows.
  Dispatch(MPI_Comm comm, int tasks, Progress& progress,
           std::function<void(std::int64_t tiles)> counted);
  ~Dispatch();
  Dispatch(const Dispatch&) = delete;
  Dispatch& operator=(const Dispatch&) = delete;

  // This rank's next task; nothing when no more are left or the run is to stop. Waits, without
  // spinning, for the answer.
  std::optional<int> next();
  // Between pieces of a task, seconds apart at most: `done` is the share of the task that is
  // behind, `operations` the useful ones since the last call. Throws TaskDropped when the run is to
  // stop.
  void tick(double done, double operations);
  // A tile of this rank is stored. Answers messages, drops nothing: the tiles of a finished task
  // are stored to the last.
  void stored();
  // Collective: waits, without spinning, until every rank has come here.
  void finish();
  // Why tasks were dropped; the same on all ranks after `finish`.
  stop::Reason stopped() const { return stopped_; }

 private:
  using Clock = std::chrono::steady_clock;
  enum Wish { working, task, stopping, over };  // of a report
  struct Report {                               // to the first rank
    double tiles, operations, wish, reason;
  };
  enum Kind { give, none_left, stop_all, alive, all_over };  // of an order
  struct Order {                                             // from the first rank
    int kind, value;
  };
  struct Sent {
    Report report;
    Order order;
    MPI_Request request;
  };

  void exchange();
  void report(Wish wish, stop::Reason reason = stop::Reason::none);
  void order(int rank, Order what);
  void take(int rank, const Report& report);
  void stop(stop::Reason reason);
  void tell_waiting();
  void poll();
  void look_for_stop();
  void receive_reports();
  void receive_orders();

  MPI_Comm comm_ = MPI_COMM_NULL;
  int rank_ = 0, ranks_ = 1;
  int tasks_;
  Progress& progress_;
  std::function<void(std::int64_t)> counted_;
  std::deque<Sent> sent_;
  Clock::time_point polled_, reported_, begun_, told_;

  Report unsent_{0, 0, working, 0};
  bool first_ = true, asked_ = false, all_over_ = false;
  std::optional<int> granted_;  // -1 = none left
  stop::Reason stopped_ = stop::Reason::none;

  // On the first rank.
  int next_;  // task that nobody has
  int over_ranks_ = 0;
  std::vector<bool> waiting_;  // ranks whose work is over
  bool heard_ = false;         // of a rank at work, since the waiting ones were last told
};

}  // namespace ntk::kernel
