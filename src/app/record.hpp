// What a command has done so far, for summary.json: whichever way it ends, that is written.
#pragma once

#include <mpi.h>

#include <mutex>
#include <nlohmann/json.hpp>
#include <string>

#include "base/error.hpp"
#include "base/job.hpp"

namespace ntk::app {

// One a rank. The working thread tells it of stages; it is closed once, by that thread or by a
// watcher's.
class Record {
 public:
  // `file`: its name in the run directory.
  Record(const Job& job, int rank, const std::string& file, nlohmann::json start);

  // A stage's result. Its own clock ("timings": {NAME: seconds}), without set-up, is the one that
  // counts; `seconds` is given beside it.
  void add_stage(const std::string& name, nlohmann::json result, double seconds);
  // What a stage that has not come to its end got done.
  void add_unfinished(const std::string& name, nlohmann::json progress);

  // Writes summary.json: for the whole job on the first rank. A rank that fails `alone`, all others
  // going down with it, writes in the first one's place. Not after a usage error, which says
  // nothing about what lies in the directory.
  void close(ExitCode code, const std::string& message, bool alone = false);

 private:
  const std::string directory_, file_;
  const int rank_;
  std::mutex mutex_;
  bool closed_ = false;
  nlohmann::json summary_;
};

}  // namespace ntk::app
