// Which tiles are made together, and in which order. Bits do not depend on any of it (design,
// decision 4).
#pragma once

#include <functional>
#include <vector>

#include "kernel/operations.hpp"
#include "kernel/panels.hpp"

namespace ntk::kernel {

// Tiles made in one pass over the panels they touch, for one range of segments.
struct Task {
  std::vector<store::Unit> units;  // ascending
  std::vector<int> panels;         // ascending
  int range = 0;
  double cost = 0;  // weighted operations
};

struct ScheduleLimits {
  int ranks = 1;
  int ranges = 1;
  int largest_panels = 1 << 20;  // panels a task may touch (memory)
  // Weighted operations of a task of more than one tile, which is what a killed rank loses. Where
  // tiles are so long that the usual cost holds no task that spends most of its time on tiles,
  // tasks may cost as much as such a one does, but no more than the largest cost.
  double usual_cost = 1e300, largest_cost = 1e300;
};

// The undone units as tasks in the order of the dispatch, the most costly first. Rank r starts with
// task r, and a rank that is done takes the next that nobody has. Tasks are sets of tiles that
// share panels, about as many as ranks or a small multiple, such that the predicted makespan is
// small. The same tasks on every rank that asks with the same arguments.
std::vector<Task> make_tasks(const Panels& panels, const Operations& operations,
                             const std::function<bool(const store::Unit&)>& undone,
                             const ScheduleLimits& limits);

// Weighted operations until the last rank is done, ranks being equally fast.
double makespan(const std::vector<Task>& tasks, int ranks);

}  // namespace ntk::kernel
