// The wish to stop, signs of life, stacks.
#include "base/stop.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <atomic>
#include <thread>

#include "base/heartbeat.hpp"
#include "base/stack.hpp"

namespace ntk {
namespace {

TEST(Stop, TheFirstReasonCounts) {
  const stop::ScopedSignals scope;
  EXPECT_EQ(stop::requested(), stop::Reason::none);
  ::raise(SIGUSR1);
  ::raise(SIGTERM);
  stop::request(stop::Reason::file);
  EXPECT_EQ(stop::requested(), stop::Reason::user);
  EXPECT_STREQ(stop::words(stop::requested()), "signal SIGUSR1");
}

TEST(Stop, ScopesForget) {
  {
    const stop::ScopedSignals scope;
    ::raise(SIGINT);
    EXPECT_EQ(stop::requested(), stop::Reason::interrupt);
  }
  EXPECT_EQ(stop::requested(), stop::Reason::none);
}

TEST(StopDeathTest, SecondInterruptEndsTheProcess) {
  EXPECT_EXIT(
      {
        const stop::ScopedSignals scope;
        stop::ScopedSignals::speak(true);
        ::raise(SIGINT);
        ::raise(SIGINT);
      },
      testing::ExitedWithCode(130), "");
}

TEST(Heartbeat, SilenceIsSinceTheLastBeat) {
  heartbeat::expect("a phase", 5);
  std::this_thread::sleep_for(std::chrono::milliseconds(30));
  EXPECT_GE(heartbeat::state().silent, 0.03);
  EXPECT_EQ(heartbeat::state().phase, "a phase");
  EXPECT_EQ(heartbeat::state().limit, 5);
  heartbeat::beat();
  EXPECT_LT(heartbeat::state().silent, 0.03);
  heartbeat::set_limit(7);
  heartbeat::expect("another", 3);
  EXPECT_EQ(heartbeat::state().limit, 7);
  heartbeat::set_limit(0);
  EXPECT_EQ(heartbeat::state().limit, 3);
}

TEST(Stack, OfTheWatchedThread) {
  stack::watch_this_thread();
  std::vector<std::string> frames;
  std::atomic<bool> done{false};
  std::thread other([&] {
    frames = stack::frames();
    done = true;
  });
  while (!done) std::this_thread::yield();
  other.join();
  EXPECT_GT(frames.size(), 3u);
  EXPECT_FALSE(stack::asked());
  ::raise(SIGUSR2);
  EXPECT_TRUE(stack::asked());
  EXPECT_FALSE(stack::asked());
}

}  // namespace
}  // namespace ntk
