#include "kernel/schedule.hpp"

#include <algorithm>
#include <cmath>
#include <queue>
#include <set>

#include "kernel/schedule_graph.hpp"

namespace ntk::kernel {
namespace {

// Building the panels of a clique should take at most this of the time of its tiles.
constexpr double build_share = 0.25;
// A schedule's longest task counts this much more, as it is what a killed job loses.
constexpr double price_of_length = 0.02;
// A schedule is even enough when the last rank ends this soon after the mean, and good enough when
// the makespan is this near to that of the tiles alone.
constexpr double even_enough = 1.005, good_enough = 1.01;
constexpr std::size_t few_links = 500;

std::vector<Task> to_tasks(const ScheduleGraph& graph, const std::vector<int>& part_of,
                           int panels) {
  const auto count =
      static_cast<std::size_t>(*std::max_element(part_of.begin(), part_of.end())) + 1;
  std::vector<Task> tasks(count);
  std::vector<std::set<int>> touched(count);
  for (std::size_t i = 0; i < part_of.size(); ++i) {
    const auto part = static_cast<std::size_t>(part_of[i]);
    tasks[part].units.push_back(graph.units[i]);
    tasks[part].range = graph.units[i].range;
    tasks[part].cost += graph.links[i].cost;
    touched[part].insert({graph.links[i].p, graph.links[i].q});
  }
  for (std::size_t part = 0; part < count; ++part) {
    for (int node : touched[part]) {
      tasks[part].panels.push_back(node % panels);
      tasks[part].cost += graph.node_costs[static_cast<std::size_t>(node)];
    }
  }
  std::erase_if(tasks, [](const Task& t) { return t.units.empty(); });
  std::stable_sort(tasks.begin(), tasks.end(),
                   [](const Task& a, const Task& b) { return a.cost > b.cost; });
  return tasks;
}

class Search {
 public:
  Search(const ScheduleGraph& graph, const Panels& panels, const ScheduleLimits& limits)
      : graph_(graph), panels_(panels), ranks_(limits.ranks) {
    const double worthwhile =
        graph.clique_cost(std::ceil(2 * graph.mean_node / (build_share * graph.mean_link)));
    limits_.largest_nodes = limits.largest_panels;
    limits_.largest_cost = std::min(std::max(limits.usual_cost, worthwhile), limits.largest_cost);
    limits_.allowance = graph.mean_link / 4;
  }

  std::vector<Task> best() {
    const auto links = static_cast<double>(graph_.links.size());
    double times = fewest();
    for (int round = 0; round < 3; ++round) {
      limits_.parts = static_cast<int>(std::min(links, times * ranks_));
      cheapest_ = HUGE_VAL;
      try_single_panels();
      try_groups_of_panels();
      // More tasks build more, by about the square root of their number.
      const double next = graph_.work + (cheapest_ - graph_.work) * std::sqrt(1 + 1 / times);
      const double reached = std::max(next, even_enough * cheapest_);
      if (limits_.parts >= links || span_ * ranks_ <= reached) break;
      // The limits may have forced more tasks than were asked for.
      times = std::max(times + 1, std::ceil(static_cast<double>(best_.size()) / ranks_));
    }
    return std::move(best_);
  }

 private:
  // Tasks a rank, as few as the allowed cost and number of panels admit.
  double fewest() const {
    const double ratio = graph_.mean_node / graph_.mean_link;
    const double side =
        std::min(std::sqrt(ratio * ratio + 2 * limits_.largest_cost / graph_.mean_link) - ratio,
                 static_cast<double>(limits_.largest_nodes));
    const double tasks = graph_.work / (side * side / 2 * graph_.mean_link);
    return std::max(1.0, std::ceil(tasks / ranks_));
  }

  // Where tiles are few, chance matters: more attempts, each wilder than the one before.
  void try_single_panels() {
    PartitionLimits limits = limits_;
    const bool few =
        graph_.links.size() < few_links && limits.parts < static_cast<int>(graph_.links.size());
    limits.moves = moves(few ? 500 : 1000, graph_.links.size());
    const int attempts = few ? 16 : 1;
    for (limits.seed = 0; limits.seed < attempts; ++limits.seed) {
      limits.allowance = limits_.allowance * (1 + limits.seed % 4);
      limits.threshold = 0.4 * (1 + limits.seed);
      consider(partition(graph_.node_costs, graph_.links, limits));
    }
  }

  // Blocks of points such that each pair of points is in one are no fewer than the points. So a few
  // tasks are best made of a few groups of panels, and panels moved one by one after that.
  void try_groups_of_panels() {
    const double side =
        std::sqrt(2 * static_cast<double>(graph_.links.size()) / limits_.parts);  // of a clique
    for (int size : {2, 3, 4, 6, 8, 12, 16, 24, 32}) {
      if (2 * size > side || span_ * ranks_ <= good_enough * graph_.work) break;
      const CoarseGraph coarse(graph_, panels_, size);
      PartitionLimits rough = limits_;
      rough.parts = std::min(limits_.parts, static_cast<int>(coarse.links.size()));
      rough.largest_nodes = std::max(2, limits_.largest_nodes / size);
      rough.allowance = graph_.mean_link * size * size / 2;
      rough.threshold = 0.4;
      rough.moves = std::max(50'000LL, moves(1000, coarse.links.size()));
      const std::vector<int> groups = partition(coarse.node_costs, coarse.links, rough);
      std::vector<int> parts;
      for (int link : coarse.link_of) parts.push_back(groups[static_cast<std::size_t>(link)]);
      PartitionLimits fine = limits_;
      fine.threshold = 0.1;
      fine.moves = moves(300, graph_.links.size());
      consider(improve(graph_.node_costs, graph_.links, fine, parts));
    }
  }

  static long long moves(double a_link, std::size_t links) {
    return static_cast<long long>(std::clamp(a_link * static_cast<double>(links), 2e4, 2e6));
  }

  // Improved groups may break limits; sums of the same costs differ by rounding.
  bool allowed(const Task& task) const {
    return task.units.size() == 1 ||
           (task.cost <= limits_.largest_cost * (1 + 1e-9) &&
            static_cast<int>(task.panels.size()) <= limits_.largest_nodes);
  }

  void consider(const std::vector<int>& parts) {
    std::vector<Task> tasks = to_tasks(graph_, parts, static_cast<int>(panels_.all().size()));
    if (!std::all_of(tasks.begin(), tasks.end(), [&](const Task& t) { return allowed(t); })) return;
    double sum = 0;
    for (const auto& task : tasks) sum += task.cost;
    cheapest_ = std::min(cheapest_, sum);
    const double span = makespan(tasks, ranks_);
    const double score = span + price_of_length * tasks.front().cost;
    if (score >= score_) return;
    score_ = score;
    span_ = span;
    best_ = std::move(tasks);
  }

  const ScheduleGraph& graph_;
  const Panels& panels_;
  int ranks_;
  PartitionLimits limits_;  // what all tries have in common
  double cheapest_ = 0;     // least sum of costs with as many parts
  double score_ = HUGE_VAL, span_ = HUGE_VAL;
  std::vector<Task> best_;
};

}  // namespace

double makespan(const std::vector<Task>& tasks, int ranks) {
  std::priority_queue<double, std::vector<double>, std::greater<>> ends;
  for (int r = 0; r < ranks; ++r) ends.push(0);
  double last = 0;
  for (const auto& task : tasks) {
    const double end = ends.top() + task.cost;
    ends.pop();
    ends.push(end);
    last = std::max(last, end);
  }
  return last;
}

std::vector<Task> make_tasks(const Panels& panels, const Operations& operations,
                             const std::function<bool(const store::Unit&)>& undone,
                             const ScheduleLimits& limits) {
  const ScheduleGraph graph(panels, operations, undone, limits.ranges);
  if (graph.links.empty()) return {};
  return Search(graph, panels, limits).best();
}

}  // namespace ntk::kernel
