#include "kernel/schedule.hpp"

#include <algorithm>
#include <map>
#include <queue>
#include <set>

namespace ntk::kernel {
namespace {

// The panels and the cost that follow from a task's units.
void price(Task& task, const Panels& panels, const Operations& operations, int ranges) {
  std::set<int> touched;
  task.cost = 0;
  for (const auto& unit : task.units) {
    const auto [p, q] = panels.of_tile(unit.set, unit.tile);
    touched.insert({p, q});
    task.cost += operations.weighted_contraction(p, q) / ranges;
  }
  task.panels.assign(touched.begin(), touched.end());
  for (int p : task.panels) task.cost += operations.build(p);
}

std::vector<Task> rectangles(const Panels& panels, const Operations& operations,
                             const std::function<bool(const store::Unit&)>& undone, int ranges,
                             int rows, int columns) {
  // (set, row block, column block, range) -> units
  std::map<std::tuple<int, std::int64_t, std::int64_t, int>, Task> made;
  const int sets = static_cast<int>(panels.sets().size());
  for (int set = 0; set < sets; ++set) {
    const store::TileGrid grid = panels.grid(set, 1);
    for (std::int64_t tile = 0; tile < grid.tile_count(); ++tile) {
      const auto [i, j] = grid.panels_of(tile);
      for (int range = 0; range < ranges; ++range) {
        const store::Unit unit{set, tile, range};
        if (!undone(unit)) continue;
        Task& task = made[{set, i / rows, j / columns, range}];
        task.range = range;
        task.units.push_back(unit);
      }
    }
  }
  std::vector<Task> tasks;
  for (auto& [where, task] : made) {
    price(task, panels, operations, ranges);
    tasks.push_back(std::move(task));
  }
  std::stable_sort(tasks.begin(), tasks.end(),
                   [](const Task& a, const Task& b) { return a.cost > b.cost; });
  return tasks;
}

}  // namespace

std::vector<std::vector<int>> assign(const std::vector<Task>& tasks, int ranks) {
  std::vector<std::vector<int>> shares(static_cast<std::size_t>(ranks));
  using Load = std::pair<double, int>;
  std::priority_queue<Load, std::vector<Load>, std::greater<>> loads;
  for (int r = 0; r < ranks; ++r) loads.emplace(0.0, r);
  for (std::size_t t = 0; t < tasks.size(); ++t) {
    const auto [load, rank] = loads.top();
    loads.pop();
    shares[static_cast<std::size_t>(rank)].push_back(static_cast<int>(t));
    loads.emplace(load + tasks[t].cost, rank);
  }
  return shares;
}

double makespan(const std::vector<Task>& tasks, int ranks) {
  double largest = 0;
  for (const auto& share : assign(tasks, ranks)) {
    double load = 0;
    for (int t : share) load += tasks[static_cast<std::size_t>(t)].cost;
    largest = std::max(largest, load);
  }
  return largest;
}

namespace {

// A rank's tasks of one range as one task, where limits allow: panels they share are built once.
std::vector<Task> merge_shares(const std::vector<Task>& tasks, const Panels& panels,
                               const Operations& operations, const ScheduleLimits& limits) {
  std::vector<Task> merged;
  for (const auto& share : assign(tasks, limits.ranks)) {
    const std::size_t first = merged.size();
    for (int t : share) {
      const Task& task = tasks[static_cast<std::size_t>(t)];
      bool taken = false;
      for (std::size_t m = first; m < merged.size() && !taken; ++m) {
        if (merged[m].range != task.range) continue;
        Task both = merged[m];
        both.units.insert(both.units.end(), task.units.begin(), task.units.end());
        price(both, panels, operations, limits.ranges);
        taken = both.cost < merged[m].cost + task.cost && both.cost <= limits.largest_cost &&
                static_cast<int>(both.panels.size()) <= limits.largest_panels;
        if (taken) merged[m] = std::move(both);
      }
      if (!taken) merged.push_back(task);
    }
  }
  std::stable_sort(merged.begin(), merged.end(),
                   [](const Task& a, const Task& b) { return a.cost > b.cost; });
  return merged;
}

}  // namespace

std::vector<Task> make_tasks(const Panels& panels, const Operations& operations,
                             const std::function<bool(const store::Unit&)>& undone,
                             const ScheduleLimits& limits) {
  std::vector<Task> best = merge_shares(rectangles(panels, operations, undone, limits.ranges, 1, 1),
                                        panels, operations, limits);
  double best_span = makespan(best, limits.ranks);
  const int sides = static_cast<int>(std::min<std::size_t>(panels.all().size(), 8));
  for (int rows = 1; rows <= sides; ++rows) {
    for (int columns = 1; columns <= sides; ++columns) {
      auto tasks = rectangles(panels, operations, undone, limits.ranges, rows, columns);
      const bool allowed = std::all_of(tasks.begin(), tasks.end(), [&](const Task& t) {
        return static_cast<int>(t.panels.size()) <= limits.largest_panels &&
               (t.units.size() == 1 || t.cost <= limits.largest_cost);
      });
      if (!allowed) continue;
      tasks = merge_shares(tasks, panels, operations, limits);
      const double span = makespan(tasks, limits.ranks);
      if (span < best_span) {
        best_span = span;
        best = std::move(tasks);
      }
    }
  }
  return best;
}

}  // namespace ntk::kernel
