// The schedule of kernels and its simulated run, from shapes alone: the tables of docs/scaling.md,
// a row for every number of ranks.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <ctime>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "kernel/preparation.hpp"
#include "kernel/simulation.hpp"
#include "support/bert_shape.hpp"

using namespace ntk;
using namespace ntk::kernel;

namespace {

struct Case {
  std::string shape = "bert-base";
  std::int64_t samples = 20'000, tokens = 64, tile = 256;
  std::vector<int> ranks;
  Machine machine;
};

const std::map<std::string, std::function<test::BertShape()>> shapes = {
    {"bert-base", test::bert_base}, {"minilm", test::minilm}};

// Bytes of a unit: fp64, the total and two groups.
double tile_bytes(const store::TileGrid& grid, const store::Unit& unit) {
  const auto [row, column] = grid.panels_of(unit.tile);
  const auto side = [](const std::vector<std::int64_t>& starts, std::int64_t panel) {
    const auto p = static_cast<std::size_t>(panel);
    return static_cast<double>(starts[p + 1] - starts[p]);
  };
  return 3 * 8 * side(grid.row_starts, row) * side(grid.column_starts, column);
}

void row(const Case& run) {
  const test::BertShape shape = shapes.at(run.shape)();
  const Panels panels = test::equal_panels(run.samples, 0, run.tokens, 1024, run.tile);
  const Operations operations(shape.architecture, shape.config, shape.settings, panels);
  const ScheduleLimits limits =
      schedule_limits(Job(), run.machine.ranks, 1 << 20, run.machine.rate, HUGE_VAL);
  const std::clock_t begin = std::clock();
  const auto tasks = make_tasks(
      panels, operations, [](const store::Unit&) { return true; }, limits);
  const double seconds = static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC;
  double cost = 0;
  for (const auto& task : tasks) cost += task.cost;
  const store::TileGrid grid = panels.grid(0, shape.settings.copies);
  const auto work = make_workload(tasks, panels, operations, 1,
                                  [&](const store::Unit& unit) { return tile_bytes(grid, unit); });
  const Simulation made = simulate(work, run.machine);
  std::printf(
      "| %d | %zu | %.1f %% | %.1f %% | %.0f s | %.1f %% | %.1f %% | %.0f s | %.0f %% | %.1f s |\n",
      run.machine.ranks, tasks.size(), 100 * made.rebuild_share,
      100 * (makespan(tasks, run.machine.ranks) * run.machine.ranks / cost - 1), made.longest_task,
      100 * made.journal_share, 100 * std::max(0.0, made.idle_share), made.makespan,
      100 * made.efficiency, seconds);
  std::fflush(stdout);
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App cli("Simulates the kernel stage of a model of a given shape. No weights, no ranks.");
  Case run;
  double rate = 1000, disk = 5;
  run.machine.spread = 0.02;
  run.machine.setup_seconds = 10;
  run.machine.take_seconds = 0.01;
  run.machine.sync_seconds = 0.05;
  cli.add_option("--shape", run.shape)->check(CLI::IsMember({"bert-base", "minilm"}));
  cli.add_option("--samples", run.samples)->check(CLI::PositiveNumber);
  cli.add_option("--tokens", run.tokens, "of every sample")->check(CLI::PositiveNumber);
  cli.add_option("--tile", run.tile, "samples a panel")->check(CLI::PositiveNumber);
  cli.add_option("--ranks", run.ranks, "default 1, 2, 4, ..., 4096");
  cli.add_option("--rate-gflops", rate, "GEMM rate of a rank");
  cli.add_option("--spread", run.machine.spread, "standard deviation of the ranks' speeds");
  cli.add_option("--setup", run.machine.setup_seconds, "seconds before the first task");
  cli.add_option("--take", run.machine.take_seconds, "seconds until another task is given");
  cli.add_option("--sync", run.machine.sync_seconds, "seconds a tile, beside its bytes");
  cli.add_option("--disk-gb", disk, "GB a second of the disk that all ranks share");
  CLI11_PARSE(cli, argc, argv);
  run.machine.rate = rate * 1e9;
  run.machine.disk_rate = disk * 1e9;
  if (run.ranks.empty()) {
    for (int ranks = 1; ranks <= 4096; ranks *= 2) run.ranks.push_back(ranks);
  }
  std::printf(
      "| ranks | tasks | rebuilding / contraction | imbalance | longest task | storing | idle | "
      "time | efficiency | schedule made in |\n|---|---|---|---|---|---|---|---|---|---|\n");
  for (const int ranks : run.ranks) {
    run.machine.ranks = ranks;
    row(run);
  }
  return 0;
}
