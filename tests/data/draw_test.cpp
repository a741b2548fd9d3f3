#include "data/draw.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <numeric>
#include <set>

#include "data/split.hpp"
#include "support/files.hpp"

namespace ntk::data {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using Rows = std::vector<std::int64_t>;

Rows sorted(Rows rows) {
  std::ranges::sort(rows);
  return rows;
}

Rows counting(std::int64_t count) {
  Rows rows(static_cast<std::size_t>(count));
  std::iota(rows.begin(), rows.end(), std::int64_t{0});
  return rows;
}

TEST(Permutation, IsOneAndFollowsTheSeed) {
  for (const std::int64_t count : {0, 1, 2, 7, 1000}) {
    EXPECT_EQ(sorted(permutation(count, 3)), counting(count));
  }
  EXPECT_EQ(permutation(1000, 3), permutation(1000, 3));
  EXPECT_NE(permutation(1000, 3), permutation(1000, 4));
}

// Every one of the six orders of three comes up equally often: chi-square with five degrees of
// freedom is above 25.7 in one of 10,000 cases; seeds are fixed.
TEST(Permutation, IsUniform) {
  std::map<Rows, int> seen;
  constexpr int draws = 6000;
  for (int seed = 0; seed < draws; ++seed) ++seen[permutation(3, seed)];
  EXPECT_EQ(seen.size(), 6u);
  double chi_square = 0;
  for (const auto& [order, times] : seen) {
    chi_square += (times - draws / 6.0) * (times - draws / 6.0) / (draws / 6.0);
  }
  EXPECT_LT(chi_square, 25.7);
}

// Kernels already computed are found again by their order: it must never change.
TEST(Permutation, StaysTheSame) {
  EXPECT_THAT(permutation(8, 1), ElementsAre(0, 3, 2, 4, 1, 5, 6, 7));
}

TEST(Draw, GrowingKeepsTheBeginning) {
  const Rows all = draw_samples(500, 0, 9);
  EXPECT_EQ(sorted(all), counting(500));
  for (const std::int64_t samples : {1, 2, 100, 499, 500}) {
    EXPECT_EQ(draw_samples(500, samples, 9), Rows(all.begin(), all.begin() + samples));
  }
  EXPECT_EQ(draw_samples(500, 1000, 9), all);
  EXPECT_THAT(draw_samples(0, 10, 9), ElementsAre());
  EXPECT_THAT(draw_samples(1, 10, 9), ElementsAre(0));
}

TEST(Order, SortsInsideBatchesOnly) {
  const Rows lengths = {5, 3, 4, 3, 1, 2};
  EXPECT_THAT(order_in_batches(Rows{0, 3, 1, 2, 5, 4}, lengths, 3), ElementsAre(3, 1, 0, 4, 5, 2));
  EXPECT_THAT(order_in_batches(Rows{0, 3, 1, 2, 5}, lengths, 3), ElementsAre(3, 1, 0, 5, 2));
  EXPECT_THAT(order_in_batches(Rows{0, 1, 2}, lengths, 1), ElementsAre(0, 1, 2));
  EXPECT_THAT(order_in_batches(Rows{0, 1, 2}, lengths, 100), ElementsAre(1, 2, 0));
  EXPECT_THAT(order_in_batches(Rows{}, lengths, 3), ElementsAre());
}

TEST(Order, GrowingKeepsCompleteBatches) {
  Rows lengths;
  for (std::int64_t i = 0; i < 300; ++i) lengths.push_back(i * 37 % 50);
  const Rows small = order_in_batches(draw_samples(300, 128, 2), lengths, 64);
  const Rows large = order_in_batches(draw_samples(300, 250, 2), lengths, 64);
  EXPECT_EQ(small, Rows(large.begin(), large.begin() + 128));
}

TEST(Panels, CutEveryTile) {
  const auto starts = [](std::int64_t count, std::int64_t batch, std::int64_t tile) {
    std::vector<std::int64_t> offsets(static_cast<std::size_t>(count + 1));
    std::iota(offsets.begin(), offsets.end(), std::int64_t{0});
    return panel_starts(offsets, batch, tile, 1000);
  };
  EXPECT_THAT(starts(10, 8, 4), ElementsAre(0, 4, 8, 10));
  EXPECT_THAT(starts(8, 8, 4), ElementsAre(0, 4, 8));
  EXPECT_THAT(starts(3, 8, 4), ElementsAre(0, 3));
  EXPECT_THAT(starts(0, 8, 4), ElementsAre(0));
  EXPECT_NE(test::error_of(ExitCode::internal, [&] { starts(10, 8, 3); }), "no error");
}

TEST(PanelStarts, LongTextsMakeSmallerPanels) {
  // Samples of 1 to 8 tokens, sorted: 10 in the first tile, 26 in the second.
  const std::vector<std::int64_t> offsets{0, 1, 3, 6, 10, 15, 21, 28, 36};
  EXPECT_THAT(panel_starts(offsets, 8, 4, 26), ElementsAre(0, 4, 8));
  EXPECT_THAT(panel_starts(offsets, 8, 4, 25), ElementsAre(0, 4, 6, 8));
  EXPECT_THAT(panel_starts(offsets, 8, 4, 14), ElementsAre(0, 4, 5, 6, 7, 8));
  EXPECT_THAT(panel_starts(offsets, 8, 4, 3), ElementsAre(0, 1, 2, 3, 4, 5, 6, 7, 8));
  EXPECT_THAT(panel_starts(std::vector<std::int64_t>{0, 1, 3, 20}, 8, 4, 5),
              ElementsAre(0, 1, 3));  // three samples in halves
}

TEST(Split, KeepsGroupsWhole) {
  Rows group;
  for (std::int64_t row = 0; row < 300; ++row) group.push_back(row / 30);
  std::set<Rows> tests;
  for (std::int64_t seed = 0; seed < 20; ++seed) {
    const Split split = split_by_group(300, group, 70, seed);
    EXPECT_EQ(split.test.size(), 90u);
    EXPECT_EQ(split.train.size(), 210u);
    EXPECT_TRUE(std::ranges::is_sorted(split.test));
    EXPECT_TRUE(std::ranges::is_sorted(split.train));
    Rows all = split.train;
    all.insert(all.end(), split.test.begin(), split.test.end());
    EXPECT_EQ(sorted(all), counting(300));
    std::set<std::int64_t> out;
    for (const std::int64_t row : split.test) out.insert(row / 30);
    for (const std::int64_t row : split.train) EXPECT_FALSE(out.contains(row / 30));
    tests.insert(split.test);
  }
  EXPECT_GT(tests.size(), 10u);
}

TEST(Split, WithoutGroupsIsExact) {
  const Split split = split_by_group(10, {}, 4, 1);
  EXPECT_EQ(split.test.size(), 4u);
  EXPECT_EQ(split.train.size(), 6u);
  EXPECT_EQ(split_by_group(10, {}, 4, 1).test, split.test);
  EXPECT_TRUE(split_by_group(10, {}, 0, 1).test.empty());
}

TEST(RowsApart, ShareNoGroupWithWhatIsTaken) {
  Rows group;
  for (std::int64_t row = 0; row < 300; ++row) group.push_back(row * 7 % 300 / 10);
  const Rows order = permutation(300, 5);
  const Rows taken(order.begin(), order.begin() + 12);
  std::set<std::int64_t> groups;
  for (const auto row : taken) groups.insert(group[static_cast<std::size_t>(row)]);
  const Rows all = rows_apart(order, taken, group, 300);
  EXPECT_EQ(all.size(), 300 - 10 * groups.size());
  EXPECT_TRUE(std::ranges::is_sorted(all));
  for (const auto row : all) EXPECT_FALSE(groups.contains(group[static_cast<std::size_t>(row)]));
  const Rows some = rows_apart(order, taken, group, 50);
  EXPECT_EQ(some.size(), 50u);
  EXPECT_TRUE(std::ranges::includes(all, some));
}

TEST(RowsApart, AreTheLastOfTheOrder) {
  const Rows order = permutation(40, 6);
  const Rows taken(order.begin(), order.begin() + 10);
  EXPECT_EQ(rows_apart(order, taken, {}, 7), sorted({order.end() - 7, order.end()}));
  EXPECT_EQ(rows_apart(order, taken, {}, 99), sorted({order.begin() + 10, order.end()}));
  EXPECT_TRUE(rows_apart(order, order, {}, 5).empty());
}

TEST(Split, SomethingIsLeftToTrainOn) {
  EXPECT_THAT(test::error_of(ExitCode::input, [] { split_by_group(10, {}, 10, 1); }),
              HasSubstr("cannot hold out 10 of 10 rows"));
  const Rows one(10, 7);
  EXPECT_THAT(test::error_of(ExitCode::input, [&] { split_by_group(10, one, 2, 1); }),
              HasSubstr("1 groups"));
}

}  // namespace
}  // namespace ntk::data
