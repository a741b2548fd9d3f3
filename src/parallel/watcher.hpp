// A thread on every rank that sees what the working thread cannot: clocks, a STOP file, hangs. What
// it may do at any moment without loss, since all that is finished is journalled, is to end the
// job.
#pragma once

#include <mpi.h>

#include <condition_variable>
#include <functional>
#include <limits>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/error.hpp"
#include "base/heartbeat.hpp"
#include "base/stop.hpp"

namespace ntk::parallel {

class Watcher {
 public:
  struct Limits {
    std::string stop_file;  // its being there asks for a stop; empty = none
    double seconds = std::numeric_limits<double>::infinity();  // from now until a stop
    stop::Reason reason = stop::Reason::max_hours;             // of that one
  };
  // Says what the job ends with, from the watcher's thread.
  using LastWords = std::function<void(ExitCode code, const std::string& message)>;

  // Collective; from the thread that works. The first rank alone minds `limits`. From now on:
  // - a stop that was asked for and after `grace` has not ended the run ends it: exit 85;
  // - a working thread without a sign of life (base/heartbeat.hpp) ends it: the stacks of this rank
  //   and, where they answer, of those on its node, exit 7;
  // - SIGUSR2 writes this rank's stack into the log.
  Watcher(MPI_Comm world, Limits limits, LastWords last_words);
  ~Watcher();  // the run ends in order
  Watcher(const Watcher&) = delete;
  Watcher& operator=(const Watcher&) = delete;

 private:
  void watch();
  void look_for_stop();
  void look_for_hang();
  void ask_neighbours() const;
  [[noreturn]] void end_job(ExitCode code, const std::string& message);

  MPI_Comm world_;
  int rank_ = 0;
  Limits limits_;
  LastWords last_words_;
  heartbeat::Clock::time_point start_, file_looked_, stop_seen_;
  bool stopping_ = false;
  std::vector<int> neighbours_;  // process ids of the node's other ranks

  std::mutex mutex_;
  std::condition_variable over_;
  bool ended_ = false;
  std::thread thread_;  // the last to start
};

}  // namespace ntk::parallel
