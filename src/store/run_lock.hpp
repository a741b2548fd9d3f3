// One job at a time writes to a run directory.
#pragma once

#include <string>

namespace ntk::store {

// A lock that the system takes back when its process ends, however it ends: a crash leaves nothing
// to clean up. It lies on DIRECTORY/.lock or, for a job that only writes `file` there, .lock-FILE.
class RunLock {
 public:
  RunLock() = default;
  ~RunLock();
  RunLock(const RunLock&) = delete;
  RunLock& operator=(const RunLock&) = delete;

  // Makes the directory where there is none. Nothing happens when this lock is held already.
  // Error(usage) when another process has it, saying which. On a file system without locks a
  // warning; where nothing may be written, nothing.
  void take(const std::string& directory, const std::string& file = "");

 private:
  int descriptor_ = -1;
};

}  // namespace ntk::store
