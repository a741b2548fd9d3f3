// Shares of a kernel: their names, and the division of the tiles.
#include "kernel/shares.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>

#include "support/files.hpp"

namespace ntk::kernel {
namespace {

TEST(Shares, Names) {
  const Share share = parse_share("3/8");
  EXPECT_EQ(share, (Share{3, 8}));
  EXPECT_EQ(share.file(), "share-3-of-8.h5");
  for (const char* text : {"", "/", "3", "3/", "/8", "0/8", "9/8", "3/8 ", " 3/8", "+3/8", "03/8",
                           "3/08", "-3/8", "3/8/1", "3/99999999999"}) {
    EXPECT_THROW(parse_share(text), Error) << text;
  }
  for (const char* ending : {"", ".partial", ".smaller-40"}) {
    EXPECT_EQ(share_of_file(share.file() + ending), share);
  }
  for (const char* name :
       {"kernel.h5", "share-3-of-8", "share-3-of-8.json", ".lock-share-3-of-8.h5",
        "share-3-of-8.h5.partial.new", "share-3-of-8.h5.partial.undo", "share-3-of-8.h5.copy",
        "share-9-of-8.h5", "share-x-of-8.h5"}) {
    EXPECT_FALSE(share_of_file(name)) << name;
  }
}

TEST(Shares, FilesOfADirectoryInOrder) {
  const test::TemporaryFolder folder;
  for (const char* name : {"share-10-of-12.h5", "share-2-of-12.h5", "share-2-of-12.h5.partial",
                           "share-1-of-2.h5.partial", "kernel.h5", "share-1-of-2.json"}) {
    std::ofstream(folder.path() + "/" + name) << "x";
  }
  const auto files = share_files(folder.path());
  ASSERT_EQ(files.size(), 3U);
  EXPECT_EQ(files[0].share, (Share{1, 2}));
  EXPECT_EQ(files[1].share, (Share{2, 12}));
  EXPECT_EQ(files[1].paths.size(), 2U);
  EXPECT_EQ(files[2].share, (Share{10, 12}));
  EXPECT_TRUE(share_files(folder.path() + "/none").empty());
}

// Every unit in one share, at like predicted cost.
TEST(Shares, DivideTheTiles) {
  SampleSet set;
  std::vector<std::int64_t> starts{0};
  for (int p = 0; p < 16; ++p) {
    for (int i = 0; i < 16; ++i)
      set.tokens.offsets.push_back(set.tokens.offsets.back() + 5 + 2 * p);
    starts.push_back(starts.back() + 16);
  }
  set.tokens.tokens.resize(static_cast<std::size_t>(set.tokens.offsets.back()), 1);
  set.tokens.types.resize(set.tokens.tokens.size(), 0);
  const Panels panels({set}, {starts});
  model::Architecture architecture;
  architecture.segments = {"layer.0", "head"};
  architecture.hidden = 64;
  model::ParameterInfo weight;
  weight.name = "w";
  weight.shape = {64, 256};
  weight.selected = true;
  architecture.parameters = {weight};
  model::ModelConfig config;
  config.hidden_size = 64;
  config.num_hidden_layers = 1;
  const jacobian::Settings settings;
  const Operations operations(architecture, config, settings, panels);
  for (const int of : {1, 4, 7, 200}) {
    const auto shares = divide(panels, operations, 2, of);
    ASSERT_EQ(static_cast<int>(shares.size()), of);
    std::map<store::Unit, int> seen;
    double largest = 0, sum = 0;
    for (const auto& units : shares) {
      double cost = 0;
      std::set<std::pair<int, int>> built;  // panel, range
      for (const auto& unit : units) {
        ++seen[unit];
        const auto [p, q] = panels.of_tile(unit.set, unit.tile);
        cost += operations.weighted_contraction(p, q) / 2;
        built.insert({{p, unit.range}, {q, unit.range}});
      }
      for (const auto& [panel, range] : built) cost += operations.build(panel);
      largest = std::max(largest, cost);
      sum += cost;
    }
    EXPECT_EQ(seen.size(), 2U * 136);
    for (const auto& [unit, times] : seen) EXPECT_EQ(times, 1);
    if (of <= 7) {
      EXPECT_LT(largest, 1.3 * sum / of) << of;
    }
  }
}

}  // namespace
}  // namespace ntk::kernel
