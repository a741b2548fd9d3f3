// The largest job that would fit.
#include "app/plan_limits.hpp"

#include <gtest/gtest.h>

namespace ntk::app {
namespace {

TEST(PlanLimits, LargestNumberThatFits) {
  for (const std::int64_t most : {std::int64_t{1}, std::int64_t{2}, std::int64_t{777},
                                  std::int64_t{20'000}, largest_possible}) {
    EXPECT_EQ(largest_samples([&](std::int64_t n) { return n <= most; }), most);
  }
  EXPECT_EQ(largest_samples([](std::int64_t) { return false; }), 0);
  // Another method begins at 1,000.
  EXPECT_EQ(largest_samples([](std::int64_t n) { return n <= 300 || (n >= 1000 && n <= 5000); }),
            5000);
}

TEST(PlanLimits, SizeOfAKernel) {
  KernelSize size;
  size.matrices = 3;
  EXPECT_DOUBLE_EQ(size.of(1000), 3 * 8e6);  // small: mirrored
  EXPECT_DOUBLE_EQ(size.of(100'000), 3 * 8e10 / 2);
  size.mirror = Job::Kernel::Mirror::on;
  EXPECT_DOUBLE_EQ(size.of(100'000), 3 * 8e10);
  size.mirror = Job::Kernel::Mirror::off;
  size.bytes = 4;
  size.evaluate_rows = 500;
  EXPECT_DOUBLE_EQ(size.of(1000), 3 * 4 * (5e5 + 5e5));
  size.ranges = 2;  // each in fp64 until they are added up
  EXPECT_DOUBLE_EQ(size.of(1000), 3 * 4 * (5e5 + 5e5) + 2 * 3 * 8 * (5e5 + 5e5));
}

}  // namespace
}  // namespace ntk::app
