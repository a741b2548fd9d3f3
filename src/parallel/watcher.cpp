#include "parallel/watcher.hpp"

#include <signal.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <utility>

#include "base/log.hpp"
#include "base/stack.hpp"
#include "parallel/collectives.hpp"
#include "parallel/mpi.hpp"

namespace ntk::parallel {
namespace {

using Clock = heartbeat::Clock;
constexpr auto between_looks = std::chrono::milliseconds(100);
constexpr auto between_files = std::chrono::seconds(2);  // a look costs a parallel file system
constexpr double grace = 12;        // seconds; with what precedes and follows, less than 20
constexpr double first_speaks = 3;  // seconds that the other ranks leave to the first one
constexpr unsigned abort_seconds = 5;

double seconds_since(Clock::time_point then) {
  return std::chrono::duration<double>(Clock::now() - then).count();
}

// "T (stopped)" and the like of another process.
std::string state_of(int process) {
  const std::string key = "State:\t";
  std::ifstream file(fmt::format("/proc/{}/status", process));
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with(key)) return line.substr(key.size());
  }
  return "Z (gone)";
}

void log_stack(const std::string& title) {
  std::string text = title;
  for (const auto& line : stack::frames()) text += "\n    " + line;
  log::rank_warn("{}", text);
}

}  // namespace

Watcher::Watcher(MPI_Comm world, Limits limits, LastWords last_words)
    : world_(world),
      limits_(std::move(limits)),
      last_words_(std::move(last_words)),
      start_(Clock::now()),
      file_looked_(start_) {
  MPI_Comm_rank(world, &rank_);
  const int mine = getpid();
  const std::string node = std::to_string(node_place(world).node) + " ";
  for (const auto& other : all_gather(world, node + std::to_string(mine))) {
    if (!other.starts_with(node)) continue;
    const int process = std::atoi(other.c_str() + node.size());
    if (process != mine) neighbours_.push_back(process);
  }
  stack::watch_this_thread();
  heartbeat::beat();
  // Signals are for the working thread.
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  thread_ = std::thread([this] { watch(); });
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

Watcher::~Watcher() {
  {
    const std::lock_guard lock(mutex_);
    ended_ = true;
  }
  over_.notify_all();
  thread_.join();
}

void Watcher::watch() {
  std::unique_lock lock(mutex_);
  while (!over_.wait_for(lock, between_looks, [this] { return ended_; })) {
    if (stack::asked()) log_stack("stack, as asked for by SIGUSR2:");
    look_for_stop();
    look_for_hang();
  }
}

void Watcher::look_for_stop() {
  if (rank_ == 0 && stop::requested() == stop::Reason::none) {
    if (seconds_since(start_) > limits_.seconds) stop::request(limits_.reason);
    if (!limits_.stop_file.empty() && Clock::now() - file_looked_ > between_files) {
      file_looked_ = Clock::now();
      if (::access(limits_.stop_file.c_str(), F_OK) == 0) stop::request(stop::Reason::file);
    }
  }
  const stop::Reason reason = stop::requested();
  if (reason == stop::Reason::none) return;
  if (!std::exchange(stopping_, true)) {
    stop_seen_ = Clock::now();
    // On stderr: mpirun sends SIGTERM when a rank has failed and has said its last line.
    log::warn("stopping ({}): what is finished is kept", stop::words(reason));
    return;
  }
  if (seconds_since(stop_seen_) < grace + (rank_ == 0 ? 0 : first_speaks)) return;
  end_job(ExitCode::stopped, fmt::format("stopped ({}) in mid-work of: {}", stop::words(reason),
                                         heartbeat::state().phase));
}

void Watcher::look_for_hang() {
  const heartbeat::State now = heartbeat::state();
  if (now.silent < now.limit + (rank_ == 0 ? 0 : first_speaks)) return;
  const std::string what = fmt::format(
      "no progress for {:.0f} s (limit {:.0f} s, at: {}) if this was no hang but slow work, raise "
      "run.watchdog_minutes",
      now.silent, now.limit, now.phase);
  log_stack(what);
  ask_neighbours();
  end_job(ExitCode::internal, what);
}

void Watcher::ask_neighbours() const {
  for (int process : neighbours_) ::kill(process, SIGUSR2);
  std::this_thread::sleep_for(std::chrono::seconds(3));
  for (int process : neighbours_) {
    const std::string state = state_of(process);
    if (std::string("TtDZ").find(state.front()) != std::string::npos) {
      log::rank_warn("process {} of this node cannot answer: {}", process, state);
    }
  }
}

void Watcher::end_job(ExitCode code, const std::string& message) {
  // Should the end hang as well.
  sigset_t alarm_signal;
  sigemptyset(&alarm_signal);
  sigaddset(&alarm_signal, SIGALRM);
  pthread_sigmask(SIG_UNBLOCK, &alarm_signal, nullptr);
  static volatile sig_atomic_t value = 0;
  value = static_cast<int>(code);
  ::signal(SIGALRM, [](int) { ::_exit(value); });
  ::alarm(abort_seconds);
  last_words_(code, message);
  MPI_Abort(world_, static_cast<int>(code));
  ::_exit(static_cast<int>(code));
}

}  // namespace ntk::parallel
