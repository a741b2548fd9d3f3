#include "parallel/grid.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "base/error.hpp"

namespace {

using namespace ntk::parallel;

TEST(Grid, KnownShapes) {
  const std::vector<std::pair<int, GridShape>> shapes = {
      {1, {1, 1}},  {2, {1, 2}},  {3, {1, 3}},  {4, {2, 2}},  {5, {2, 2}},  {6, {2, 3}},
      {7, {2, 3}},  {8, {2, 4}},  {9, {3, 3}},  {10, {3, 3}}, {11, {3, 3}}, {12, {3, 4}},
      {16, {4, 4}}, {17, {4, 4}}, {31, {5, 6}}, {40, {5, 8}}, {64, {8, 8}}};
  for (const auto& [ranks, shape] : shapes) {
    EXPECT_EQ(choose_grid(ranks), shape) << ranks << " ranks";
  }
  EXPECT_THROW(choose_grid(0), ntk::Error);
}

TEST(Grid, NearSquareAndFewIdleForEveryCount) {
  for (int ranks = 1; ranks <= 2000; ++ranks) {
    const GridShape shape = choose_grid(ranks);
    ASSERT_LE(shape.active(), ranks);
    ASSERT_LE(shape.rows, shape.columns);
    ASSERT_LE(shape.columns, std::max(2 * shape.rows, 3));
    ASSERT_GE(shape.active() * 100, ranks * 75) << ranks;
  }
}

TEST(Grid, SmallMatricesUseFewRanks) {
  EXPECT_EQ(choose_grid(64, 0), (GridShape{1, 1}));
  EXPECT_EQ(choose_grid(64, 63), (GridShape{1, 1}));
  EXPECT_EQ(choose_grid(64, 100), (GridShape{3, 3}));
  EXPECT_EQ(choose_grid(64, 10000), (GridShape{8, 8}));
  for (int ranks : {1, 2, 3, 6, 13, 100}) {
    for (std::int64_t order = 0; order < 700; ++order) {
      const GridShape shape = choose_grid(ranks, order);
      ASSERT_LE(shape.active(), ranks);
      const std::int64_t block = choose_block(order, shape);
      ASSERT_GE(block, 1);
      ASSERT_LE(block, 64);
      if (shape.active() > 1) {
        ASSERT_GE(block, 16);
        ASSERT_LE(2 * block * shape.columns, order);
      }
    }
  }
}

TEST(Grid, RankCoordinates) {
  EXPECT_EQ(grid_index({2, 3}, 4), (GridIndex{1, 1}));
  EXPECT_EQ(grid_index({2, 3}, 6), (GridIndex{-1, -1}));
}

}  // namespace
