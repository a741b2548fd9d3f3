// Signs of life of this process's work, which a watchdog reads: a hang becomes an error.
#pragma once

#include <chrono>
#include <string>

namespace ntk::heartbeat {

using Clock = std::chrono::steady_clock;

// The work got on. Cheap: call it where seconds may pass in between.
void beat() noexcept;

// From now on the work is in this phase, in which it beats at least once in `seconds`. Counts as a
// beat. A limit that the user sets (below) takes the place of `seconds`.
void expect(const std::string& phase, double seconds);
void set_limit(double seconds);  // 0 = as the phases say

struct State {
  std::string phase;
  double limit;   // seconds
  double silent;  // seconds since the last beat
};
State state();

}  // namespace ntk::heartbeat
