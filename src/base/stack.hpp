// The stack of the thread that works, for a watchdog and for people: SIGUSR2 makes a process write
// it into its log.
#pragma once

#include <string>
#include <vector>

namespace ntk::stack {

// Call once, from the thread whose stack counts. Handles SIGUSR2 from then on.
void watch_this_thread();

// Whether somebody sent SIGUSR2 since the last call.
bool asked() noexcept;

// One line a frame, innermost first; a line that says so when the thread does not answer. Not from
// the watched thread itself.
std::vector<std::string> frames();

}  // namespace ntk::stack
