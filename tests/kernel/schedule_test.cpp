// The schedule: every undone tile exactly once, limits kept, no worse than one tile a task.
#include "kernel/schedule.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>

namespace ntk::kernel {
namespace {

// Panels of `samples` samples with lengths growing from panel to panel, one evaluation set.
Panels make_panels(int train, int evaluate, std::int64_t samples) {
  std::vector<SampleSet> sets;
  std::vector<std::vector<std::int64_t>> starts;
  for (int count : {train, evaluate}) {
    SampleSet set;
    set.name = sets.empty() ? "" : "other";
    starts.push_back({0});
    for (int p = 0; p < count; ++p) {
      for (std::int64_t i = 0; i < samples; ++i) {
        set.tokens.offsets.push_back(set.tokens.offsets.back() + 5 + 3 * p);
      }
      starts.back().push_back(starts.back().back() + samples);
    }
    set.tokens.tokens.resize(static_cast<std::size_t>(set.tokens.offsets.back()), 1);
    set.tokens.types.resize(set.tokens.tokens.size(), 0);
    sets.push_back(std::move(set));
  }
  return Panels(std::move(sets), starts);
}

struct Shape {
  model::Architecture architecture;
  model::ModelConfig config;
  jacobian::Settings settings;
  Shape() {
    architecture.segments = {"layer.0", "head"};
    architecture.hidden = 64;
    model::ParameterInfo w;
    w.name = "w";
    w.shape = {64, 256};
    w.selected = true;
    architecture.parameters = {w};
    config.hidden_size = 64;
    config.num_hidden_layers = 1;
  }
};

TEST(Schedule, EveryUndoneUnitOnceOnAnyRanks) {
  const Panels panels = make_panels(7, 3, 16);
  const Shape shape;
  const Operations operations(shape.architecture, shape.config, shape.settings, panels);
  for (int ranks : {1, 2, 3, 6, 40}) {
    for (int ranges : {1, 3}) {
      const auto undone = [](const store::Unit& u) { return (u.tile + u.set) % 3 != 0; };
      const auto tasks = make_tasks(panels, operations, undone, {ranks, ranges, 1 << 20, 1e300});
      std::map<store::Unit, int> seen;
      for (const auto& task : tasks) {
        for (const auto& unit : task.units) {
          ++seen[unit];
          EXPECT_TRUE(undone(unit));
          EXPECT_EQ(unit.range, task.range);
          const auto [p, q] = panels.of_tile(unit.set, unit.tile);
          EXPECT_TRUE(std::binary_search(task.panels.begin(), task.panels.end(), p));
          EXPECT_TRUE(std::binary_search(task.panels.begin(), task.panels.end(), q));
        }
      }
      std::size_t expected = 0;
      for (int set = 0; set < 2; ++set) {
        for (std::int64_t t = 0; t < panels.grid(set, 1).tile_count(); ++t) {
          for (int range = 0; range < ranges; ++range) expected += undone({set, t, range});
        }
      }
      EXPECT_EQ(seen.size(), expected);
      for (const auto& [unit, times] : seen) EXPECT_EQ(times, 1);
      std::set<int> assigned;
      for (const auto& share : assign(tasks, ranks)) assigned.insert(share.begin(), share.end());
      EXPECT_EQ(assigned.size(), tasks.size());
    }
  }
}

TEST(Schedule, MemoryCapsThePanelsOfATask) {
  const Panels panels = make_panels(8, 0, 16);
  const Shape shape;
  const Operations operations(shape.architecture, shape.config, shape.settings, panels);
  const auto all = [](const store::Unit&) { return true; };
  for (const auto& task : make_tasks(panels, operations, all, {2, 1, 3, 1e300})) {
    EXPECT_LE(task.panels.size(), 3u);
  }
  for (const auto& task : make_tasks(panels, operations, all, {2, 1, 1 << 20, 1.0})) {
    EXPECT_EQ(task.units.size(), 1u) << "no task of several tiles may cost more than allowed";
  }
}

TEST(Schedule, BalancesWithinTenPercentWhenTilesAreMany) {
  const Panels panels = make_panels(16, 0, 16);
  const Shape shape;
  const Operations operations(shape.architecture, shape.config, shape.settings, panels);
  const auto tasks = make_tasks(panels, operations, [](const store::Unit&) { return true; },
                                {4, 1, 1 << 20, 1e300});
  double total = 0;
  for (const auto& task : tasks) total += task.cost;
  EXPECT_LE(makespan(tasks, 4), 1.1 * total / 4);
}

}  // namespace
}  // namespace ntk::kernel
