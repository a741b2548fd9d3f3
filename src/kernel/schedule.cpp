#include "kernel/schedule.hpp"

#include <algorithm>
#include <iterator>
#include <map>
#include <queue>
#include <set>

namespace ntk::kernel {
namespace {

// Asked for once: every shape of task that is tried adds up the same numbers.
struct Costs {
  std::vector<std::vector<double>> tiles;  // [set][tile], over all ranges
  std::vector<double> panels;

  Costs(const Panels& all, const Operations& operations) {
    for (int set = 0; set < static_cast<int>(all.sets().size()); ++set) {
      auto& of_set = tiles.emplace_back();
      for (std::int64_t tile = 0; tile < all.grid(set, 1).tile_count(); ++tile) {
        const auto [p, q] = all.of_tile(set, tile);
        of_set.push_back(operations.weighted_contraction(p, q));
      }
    }
    for (int p = 0; p < static_cast<int>(all.all().size()); ++p) {
      panels.push_back(operations.build(p));
    }
  }
};

// The panels and the cost that follow from a task's units.
void price(Task& task, const Panels& panels, const Costs& costs, int ranges) {
  std::set<int> touched;
  task.cost = 0;
  for (const auto& unit : task.units) {
    const auto [p, q] = panels.of_tile(unit.set, unit.tile);
    touched.insert({p, q});
    task.cost +=
        costs.tiles[static_cast<std::size_t>(unit.set)][static_cast<std::size_t>(unit.tile)] /
        ranges;
  }
  task.panels.assign(touched.begin(), touched.end());
  for (int p : task.panels) task.cost += costs.panels[static_cast<std::size_t>(p)];
}

std::vector<int> all_panels(const Task& a, const Task& b) {
  std::vector<int> all;
  std::set_union(a.panels.begin(), a.panels.end(), b.panels.begin(), b.panels.end(),
                 std::back_inserter(all));
  return all;
}

// What building costs that two tasks have in common.
double shared_cost(const Task& a, const Task& b, const Costs& costs) {
  std::vector<int> shared;
  std::set_intersection(a.panels.begin(), a.panels.end(), b.panels.begin(), b.panels.end(),
                        std::back_inserter(shared));
  double cost = 0;
  for (int p : shared) cost += costs.panels[static_cast<std::size_t>(p)];
  return cost;
}

std::vector<Task> rectangles(const Panels& panels, const Costs& costs,
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
    price(task, panels, costs, ranges);
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
std::vector<Task> merge_shares(const std::vector<Task>& tasks, const Costs& costs,
                               const ScheduleLimits& limits) {
  std::vector<Task> merged;
  for (const auto& share : assign(tasks, limits.ranks)) {
    const std::size_t first = merged.size();
    for (int t : share) {
      const Task& task = tasks[static_cast<std::size_t>(t)];
      const auto fits = [&](const Task& with) {
        if (with.range != task.range) return false;
        const double saved = shared_cost(with, task, costs);
        return saved > 0 && with.cost + task.cost - saved <= limits.largest_cost &&
               static_cast<int>(all_panels(with, task).size()) <= limits.largest_panels;
      };
      const auto with =
          std::find_if(merged.begin() + static_cast<std::ptrdiff_t>(first), merged.end(), fits);
      if (with == merged.end()) {
        merged.push_back(task);
        continue;
      }
      with->cost += task.cost - shared_cost(*with, task, costs);
      with->panels = all_panels(*with, task);
      with->units.insert(with->units.end(), task.units.begin(), task.units.end());
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
  const Costs costs(panels, operations);
  std::vector<Task> best =
      merge_shares(rectangles(panels, costs, undone, limits.ranges, 1, 1), costs, limits);
  double best_span = makespan(best, limits.ranks);
  const int sides = static_cast<int>(std::min<std::size_t>(panels.all().size(), 8));
  for (int rows = 1; rows <= sides; ++rows) {
    for (int columns = 1; columns <= sides; ++columns) {
      auto tasks = rectangles(panels, costs, undone, limits.ranges, rows, columns);
      const bool allowed = std::all_of(tasks.begin(), tasks.end(), [&](const Task& t) {
        return static_cast<int>(t.panels.size()) <= limits.largest_panels &&
               (t.units.size() == 1 || t.cost <= limits.largest_cost);
      });
      if (!allowed) continue;
      tasks = merge_shares(tasks, costs, limits);
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
