// What the ranks have done so far, known to the first: the others send it what they finish, and it
// prints a line now and then.
#pragma once

#include <mpi.h>

#include <chrono>
#include <deque>

namespace ntk::kernel {

class Progress {
 public:
  // `operations`: useful operations of all work to do; `rate`: GEMM rate of all ranks together
  // (operations a second).
  Progress(MPI_Comm comm, std::int64_t tiles, double operations, double rate);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  // This rank finished so many tiles (0 = somewhere inside them) and did so many useful operations
  // more. Also lets the first rank listen and print: call now and then.
  void advance(std::int64_t tiles, double operations);
  // Collective: waits, without spinning, until every rank has come here.
  void wait_for_all();

  double seconds() const;  // since the start

 private:
  struct Report {
    double tiles, operations;
    double last;  // 1 = the sender's work is over
  };
  void poll();
  void send(const Report& report);
  void count(const Report& report);
  void print();

  MPI_Comm comm_ = MPI_COMM_NULL;
  int rank_ = 0, ranks_ = 1;
  std::int64_t tiles_;
  double operations_, rate_;
  Report done_{0, 0, 0};    // of all ranks, known to the first
  Report unsent_{0, 0, 0};  // of this one
  struct Pending {
    Report report;
    MPI_Request request;
  };
  std::deque<Pending> pending_;
  std::chrono::steady_clock::time_point start_, printed_, sent_;
};

}  // namespace ntk::kernel
