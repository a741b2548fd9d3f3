#include "base/stack.hpp"

#include <cxxabi.h>
#include <dlfcn.h>
#include <execinfo.h>
#include <fmt/format.h>
#include <pthread.h>
#include <signal.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <memory>
#include <thread>

namespace ntk::stack {
namespace {

constexpr auto patience = std::chrono::seconds(2);
constexpr int handler_frames = 2;  // of the handler itself and of the signal's delivery

pthread_t watched;
std::array<void*, 64> addresses;
std::atomic<int> captured{-1};    // number of addresses; -1 = none yet
std::atomic<bool> wanted{false};  // by frames()
std::atomic<bool> asked_for{false};

// Delivered to any thread when it comes from outside.
void handle(int signal) {
  if (!wanted) asked_for = true;
  if (!pthread_equal(pthread_self(), watched)) {
    if (wanted) pthread_kill(watched, signal);
    return;
  }
  if (wanted.exchange(false)) {
    captured = backtrace(addresses.data(), static_cast<int>(addresses.size()));
  }
}

std::string describe(void* address) {
  Dl_info info{};
  if (dladdr(address, &info) == 0 || info.dli_fname == nullptr) return fmt::format("{}", address);
  const auto offset = [address](const void* base) {
    return static_cast<const char*>(address) - static_cast<const char*>(base);
  };
  if (info.dli_sname == nullptr) {
    return fmt::format("{} + {:#x}", info.dli_fname, offset(info.dli_fbase));
  }
  int failed = 0;
  const std::unique_ptr<char, void (*)(void*)> whole(
      abi::__cxa_demangle(info.dli_sname, nullptr, nullptr, &failed), std::free);
  std::string name = failed == 0 ? whole.get() : info.dli_sname;
  if (const auto arguments = name.find('(', 1); arguments != std::string::npos) {
    if (!name.substr(0, arguments).ends_with("operator")) name.resize(arguments);
  }
  return fmt::format("{} + {:#x}  ({})", name, offset(info.dli_saddr), info.dli_fname);
}

}  // namespace

void watch_this_thread() {
  watched = pthread_self();
  backtrace(addresses.data(), 1);  // loads what it needs now, not inside a handler
  struct sigaction action {};
  action.sa_handler = handle;
  action.sa_flags = SA_RESTART;
  sigemptyset(&action.sa_mask);
  sigaction(SIGUSR2, &action, nullptr);
}

bool asked() noexcept {
  return asked_for.exchange(false);
}

std::vector<std::string> frames() {
  captured = -1;
  wanted = true;
  pthread_kill(watched, SIGUSR2);
  const auto start = std::chrono::steady_clock::now();
  while (captured < 0) {
    if (std::chrono::steady_clock::now() - start > patience) {
      wanted = false;
      return {"(the thread does not answer: it waits inside the system)"};
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  std::vector<std::string> lines;
  for (int i = handler_frames; i < captured; ++i) {
    lines.push_back(describe(addresses[static_cast<std::size_t>(i)]));
  }
  return lines;
}

}  // namespace ntk::stack
