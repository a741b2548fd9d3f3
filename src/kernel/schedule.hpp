// Which tiles are made together, and by whom. Bits do not depend on any of it (design, decision 4).
#pragma once

#include <functional>
#include <vector>

#include "kernel/operations.hpp"
#include "kernel/panels.hpp"

namespace ntk::kernel {

// Tiles made in one pass over the panels they touch, for one range of segments.
struct Task {
  std::vector<store::Unit> units;
  std::vector<int> panels;  // ascending
  int range = 0;
  double cost = 0;  // weighted operations
};

struct ScheduleLimits {
  int ranks = 1;
  int ranges = 1;
  int largest_panels = 1 << 20;  // panels a task may touch (memory)
  double largest_cost = 1e300;   // of a task of more than one tile (loss when killed)
};

// Cuts the undone units into tasks: rectangles of tiles (rows x columns of panels), of the shape
// whose predicted makespan on `ranks` ranks is least. Tasks are ordered from the most costly.
std::vector<Task> make_tasks(const Panels& panels, const Operations& operations,
                             const std::function<bool(const store::Unit&)>& undone,
                             const ScheduleLimits& limits);

// Longest task first onto the least loaded rank: numbers of tasks for every rank.
std::vector<std::vector<int>> assign(const std::vector<Task>& tasks, int ranks);

// The largest load of a rank under `assign`.
double makespan(const std::vector<Task>& tasks, int ranks);

}  // namespace ntk::kernel
