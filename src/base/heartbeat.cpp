#include "base/heartbeat.hpp"

#include <atomic>
#include <mutex>

namespace ntk::heartbeat {
namespace {

std::atomic<Clock::rep> last{Clock::now().time_since_epoch().count()};

std::mutex mutex;
std::string phase = "starting";
double phase_limit = 1800;
double user_limit = 0;

}  // namespace

void beat() noexcept {
  last = Clock::now().time_since_epoch().count();
}

void expect(const std::string& name, double seconds) {
  const std::lock_guard lock(mutex);
  phase = name;
  phase_limit = seconds;
  beat();
}

void set_limit(double seconds) {
  const std::lock_guard lock(mutex);
  user_limit = seconds;
}

State state() {
  const std::lock_guard lock(mutex);
  const auto since = Clock::now().time_since_epoch() - Clock::duration(last.load());
  return {phase, user_limit > 0 ? user_limit : phase_limit,
          std::chrono::duration<double>(since).count()};
}

}  // namespace ntk::heartbeat
