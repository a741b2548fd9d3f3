// The simulated dispatch against what can be worked out by hand.
#include "kernel/simulation.hpp"

#include <gtest/gtest.h>

#include <numeric>

#include "support/bert_shape.hpp"

namespace ntk::kernel {
namespace {

// Tasks of these costs, each of `tiles` tiles of `bytes`.
Workload workload(const std::vector<double>& costs, std::size_t tiles = 0, double bytes = 0) {
  Workload work;
  for (const double cost : costs) {
    work.tasks.push_back({cost, 0.5 * cost, 0.25 * cost, std::vector<double>(tiles, bytes)});
    work.contraction += 0.5 * cost;
    work.build += 0.25 * cost;
  }
  return work;
}

std::vector<double> falling(int count) {
  std::vector<double> costs;
  for (int t = 0; t < count; ++t) costs.push_back(100 - 90.0 * t / count);
  return costs;
}

TEST(Simulation, EqualRanksThatOnlyComputeTakeTheMakespanOfTheList) {
  const auto costs = falling(37);
  std::vector<Task> tasks(costs.size());
  for (std::size_t t = 0; t < costs.size(); ++t) tasks[t].cost = costs[t];
  for (const int ranks : {1, 2, 5, 36, 37, 40}) {
    Machine machine;
    machine.ranks = ranks;
    machine.rate = 4;
    const Simulation run = simulate(workload(costs), machine);
    EXPECT_NEAR(run.makespan, makespan(tasks, ranks) / 4, 1e-9) << ranks;
    const double work = std::accumulate(costs.begin(), costs.end(), 0.0);
    EXPECT_NEAR(run.imbalance, run.makespan * 4 * ranks / work - 1, 1e-9);
    EXPECT_NEAR(run.efficiency, 0.5 * work / (4 * ranks * run.makespan), 1e-9);
    EXPECT_DOUBLE_EQ(run.rebuild_share, 0.5);
    EXPECT_EQ(run.journal_share, 0);
  }
}

TEST(Simulation, OneRankDoesOneThingAfterAnother) {
  Machine machine;
  machine.ranks = 1;
  machine.rate = 10;
  machine.setup_seconds = 7;
  machine.take_seconds = 0.5;
  machine.sync_seconds = 0.25;
  machine.disk_rate = 100;
  Workload work = workload({100, 50, 20}, 2, 50);
  work.passes = 30;
  const Simulation run = simulate(work, machine);
  const double computing = 17, storing = 6 * (0.5 + 0.25), taking = 2 * 0.5;
  EXPECT_DOUBLE_EQ(run.makespan, 7 + computing + storing + taking);
  EXPECT_DOUBLE_EQ(run.ranks[0].computing, computing);
  EXPECT_DOUBLE_EQ(run.ranks[0].storing, storing);
  EXPECT_DOUBLE_EQ(run.ranks[0].taking, taking);
  EXPECT_DOUBLE_EQ(run.journal_share, storing / run.makespan);
  EXPECT_DOUBLE_EQ(run.longest_task, 10 + 2 * 0.75);
  EXPECT_DOUBLE_EQ(run.efficiency, (85 + 30) / (10 * run.makespan));
  EXPECT_NEAR(run.imbalance, 0, 1e-12);
  EXPECT_NEAR(run.idle_share, 0, 1e-12);
}

TEST(Simulation, RanksShareOneDisk) {
  Machine machine;
  machine.ranks = 8;
  machine.rate = 1;
  machine.disk_rate = 10;
  // All end computing at once; the last waits for the seven others' bytes.
  const Simulation run = simulate(workload(std::vector<double>(8, 5), 1, 20), machine);
  EXPECT_DOUBLE_EQ(run.makespan, 5 + 8 * 2);
  // Syncing goes on side by side.
  machine.sync_seconds = 3;
  EXPECT_DOUBLE_EQ(simulate(workload(std::vector<double>(8, 5), 1, 20), machine).makespan,
                   5 + 8 * 2 + 3);
}

TEST(Simulation, SlowRanksTakeFewerTasks) {
  Machine machine;
  machine.ranks = 4;
  machine.rate = 1;
  machine.speeds = {1, 1, 1, 0.25};
  const auto work = workload(std::vector<double>(130, 1));
  const Simulation run = simulate(work, machine);
  EXPECT_EQ(run.ranks[3].tasks, 10);
  for (int r = 0; r < 3; ++r) EXPECT_EQ(run.ranks[static_cast<std::size_t>(r)].tasks, 40);
  EXPECT_DOUBLE_EQ(run.makespan, 40);
  EXPECT_DOUBLE_EQ(run.longest_task, 4);
  EXPECT_NEAR(run.efficiency, 0.5, 1e-12) << "of the rate that the ranks have";
}

TEST(Simulation, SpeedsAreDrawnOnceForASeed) {
  Machine machine;
  machine.ranks = 1000;
  machine.rate = 1;
  machine.spread = 0.1;
  const auto work = workload(std::vector<double>(1000, 1));
  const auto ends = [&] {
    std::vector<double> all;
    for (const auto& rank : simulate(work, machine).ranks) all.push_back(1 / rank.end);
    return all;
  };
  const auto speeds = ends();
  EXPECT_EQ(speeds, ends());
  const double mean = std::accumulate(speeds.begin(), speeds.end(), 0.0) / 1000;
  double variance = 0;
  for (const double s : speeds) variance += (s - mean) * (s - mean) / 1000;
  EXPECT_NEAR(mean, 1, 0.01);
  EXPECT_NEAR(std::sqrt(variance), 0.1, 0.01);
  machine.seed = 2;
  EXPECT_NE(speeds, ends());
}

TEST(Simulation, WorkIsThatOfTheTasks) {
  const Panels panels = test::equal_panels(1300, 300, 20);
  const test::BertShape shape = test::minilm();
  const Operations operations(shape.architecture, shape.config, shape.settings, panels);
  const auto tasks =
      make_tasks(panels, operations, [](const store::Unit&) { return true; }, {3, 2});
  const Workload work = make_workload(tasks, panels, operations, 2,
                                      [](const store::Unit& u) { return 1.0 + u.range; });
  ASSERT_EQ(work.tasks.size(), tasks.size());
  double contraction = 0, build = 0, passes = 0, bytes = 0;
  for (int set = 0; set < 2; ++set) {
    for (std::int64_t t = 0; t < panels.grid(set, 1).tile_count(); ++t) {
      const auto [p, q] = panels.of_tile(set, t);
      contraction += operations.contraction(p, q);
    }
  }
  for (const auto& task : tasks) {
    for (int p : task.panels) build += operations.build_operations(p);
  }
  for (int p = 0; p < static_cast<int>(panels.all().size()); ++p) passes += operations.once(p);
  for (const auto& task : work.tasks) {
    bytes += std::accumulate(task.tile_bytes.begin(), task.tile_bytes.end(), 0.0);
  }
  EXPECT_NEAR(work.contraction, contraction, 1e-9 * contraction);
  EXPECT_NEAR(work.build, build, 1e-9 * build);
  EXPECT_NEAR(work.passes, passes, 1e-9 * passes);
  EXPECT_EQ(bytes, 3.0 * (21 + 12)) << "two ranges of every tile";
}

}  // namespace
}  // namespace ntk::kernel
