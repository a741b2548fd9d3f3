#include "parallel/distribution.hpp"

#include <gtest/gtest.h>

#include <vector>

#include "base/error.hpp"

namespace {

using namespace ntk::parallel;

// Every size, block and process count of a small range: the maps against a direct enumeration.
TEST(Axis, MapsAgreeWithEnumerationOnAllSmallCases) {
  for (std::int64_t size = 0; size <= 23; ++size) {
    for (std::int64_t block = 1; block <= 7; ++block) {
      for (int processes = 1; processes <= 5; ++processes) {
        std::vector<std::int64_t> filled(static_cast<std::size_t>(processes), 0);
        std::vector<Axis> axes;
        for (int p = 0; p < processes; ++p) axes.emplace_back(size, block, processes, p);
        for (std::int64_t g = 0; g < size; ++g) {
          const int owner = axes[0].owner(g);
          ASSERT_EQ(owner, (g / block) % processes);
          const Axis& axis = axes[static_cast<std::size_t>(owner)];
          auto& next = filled[static_cast<std::size_t>(owner)];
          ASSERT_EQ(axis.to_local(g), next);  // local storage is in global order, without gaps
          ASSERT_EQ(axis.to_global(next), g);
          ASSERT_EQ(axis.local_below(g), next);
          ASSERT_TRUE(axis.mine(g));
          ++next;
        }
        std::int64_t blocks = 0;
        for (int p = 0; p < processes; ++p) {
          const Axis& axis = axes[static_cast<std::size_t>(p)];
          ASSERT_EQ(axis.local_size(), filled[static_cast<std::size_t>(p)]);
          ASSERT_LE(axis.local_size(), axis.local_size(0));
          blocks += axis.local_blocks();
          std::int64_t elements = 0;
          for (std::int64_t b = 0; b < axis.local_blocks(); ++b) {
            const std::int64_t global = axis.global_block(b);
            ASSERT_EQ(axis.block_owner(global), p);
            ASSERT_EQ(axis.local_block(global), b);
            elements += axis.block_size(global);
          }
          ASSERT_EQ(elements, axis.local_size());
        }
        ASSERT_EQ(blocks, axes[0].blocks());
      }
    }
  }
}

TEST(Axis, AnIdleProcessHoldsNothing) {
  const Axis idle(100, 8, 3, -1);
  EXPECT_EQ(idle.local_size(), 0);
  EXPECT_EQ(idle.local_blocks(), 0);
  EXPECT_FALSE(idle.mine(0));
}

TEST(Axis, RefusesNonsense) {
  EXPECT_THROW(Axis(-1, 1, 1, 0), ntk::Error);
  EXPECT_THROW(Axis(1, 0, 1, 0), ntk::Error);
  EXPECT_THROW(Axis(1, 1, 0, 0), ntk::Error);
  EXPECT_THROW(Axis(1, 1, 2, 2), ntk::Error);
}

TEST(Axis, CountsBeyond32Bits) {
  const std::int64_t size = std::int64_t{5} << 33;
  const Axis axis(size, 64, 3, 2);
  EXPECT_EQ(axis.local_size(0) + axis.local_size(1) + axis.local_size(2), size);
  EXPECT_EQ(axis.to_global(axis.local_size() - 1) / 64 % 3, 2);
}

TEST(Distribution, CombinesItsAxes) {
  const Distribution d({10, 7}, {3, 2}, {2, 2}, {1, 0});
  EXPECT_EQ(d.local_size(), (Extent{4, 4}));
  EXPECT_EQ(d.largest_local_size(), (Extent{6, 4}));
  EXPECT_EQ(d.owner(GlobalElement{4, 3}), (GridIndex{1, 1}));
  EXPECT_TRUE(d.mine({9, 4}));
  EXPECT_EQ(d.to_local(GlobalElement{9, 4}), (LocalElement{3, 2}));
  EXPECT_EQ(d.to_global(LocalElement{3, 2}), (GlobalElement{9, 4}));
  EXPECT_EQ(d.start(GlobalBlock{3, 2}), (GlobalElement{9, 4}));
  EXPECT_EQ(d.block_size(GlobalBlock{3, 3}), (Extent{1, 1}));
  EXPECT_EQ(d.owner(GlobalBlock{3, 3}), (GridIndex{1, 1}));
  EXPECT_EQ(d.to_local(d.to_global(LocalBlock{1, 1})), (LocalBlock{1, 1}));
}

}  // namespace
