#include "base/stop.hpp"

#include <signal.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <string_view>

#include "base/error.hpp"

namespace ntk::stop {
namespace {

std::atomic<int> wish{static_cast<int>(Reason::none)};
static_assert(std::atomic<int>::is_always_lock_free, "used in signal handlers");
std::atomic<int> interrupts{0};
std::atomic<bool> speaking{false};

constexpr std::array handled{SIGINT, SIGTERM, SIGUSR1};
std::array<struct sigaction, handled.size()> before;

void handle(int signal) {
  if (signal == SIGINT && interrupts.fetch_add(1) > 0) {
    constexpr std::string_view line = "\nSTATUS: interrupted\n";
    if (speaking) static_cast<void>(!::write(STDOUT_FILENO, line.data(), line.size()));
    ::_exit(static_cast<int>(ExitCode::interrupted));
  }
  request(signal == SIGINT    ? Reason::interrupt
          : signal == SIGTERM ? Reason::terminate
                              : Reason::user);
}

}  // namespace

void request(Reason reason) noexcept {
  int none = static_cast<int>(Reason::none);
  wish.compare_exchange_strong(none, static_cast<int>(reason));
}

Reason requested() noexcept {
  return static_cast<Reason>(wish.load());
}

const char* words(Reason reason) noexcept {
  switch (reason) {
    case Reason::none:
      return "nothing";
    case Reason::interrupt:
      return "signal SIGINT";
    case Reason::terminate:
      return "signal SIGTERM";
    case Reason::user:
      return "signal SIGUSR1";
    case Reason::max_hours:
      return "run.max_hours";
    case Reason::job_end:
      return "end of the Slurm job";
    case Reason::file:
      return "STOP file";
  }
  return "nothing";
}

void ScopedSignals::speak(bool yes) noexcept {
  speaking = yes;
}

ScopedSignals::ScopedSignals() {
  struct sigaction action {};
  action.sa_handler = handle;
  action.sa_flags = SA_RESTART;
  sigemptyset(&action.sa_mask);
  for (std::size_t i = 0; i < handled.size(); ++i) sigaction(handled[i], &action, &before[i]);
}

ScopedSignals::~ScopedSignals() {
  for (std::size_t i = 0; i < handled.size(); ++i) sigaction(handled[i], &before[i], nullptr);
  interrupts = 0;
  speaking = false;
  wish = static_cast<int>(Reason::none);
}

}  // namespace ntk::stop
