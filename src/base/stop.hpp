// The wish to end a run early, with everything finished kept (exit 85). One a process: signals,
// clocks and the other ranks' messages raise it, work that takes long looks at it.
#pragma once

namespace ntk::stop {

enum class Reason : int {
  none,
  interrupt,  // SIGINT
  terminate,  // SIGTERM
  user,       // SIGUSR1
  max_hours,
  job_end,
  file
};

// The first reason counts. Async-signal-safe.
void request(Reason reason) noexcept;
Reason requested() noexcept;

// For people and summary.json: "signal SIGUSR1", "run.max_hours", "STOP file".
const char* words(Reason reason) noexcept;

// In its scope SIGINT, SIGTERM and SIGUSR1 are requests; a second SIGINT ends the process at once
// with exit code 130, saying so if it is to `speak` (one process of a job is).
class ScopedSignals {
 public:
  ScopedSignals();
  static void speak(bool yes) noexcept;
  ~ScopedSignals();
  ScopedSignals(const ScopedSignals&) = delete;
  ScopedSignals& operator=(const ScopedSignals&) = delete;
};

}  // namespace ntk::stop
