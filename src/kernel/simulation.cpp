#include "kernel/simulation.hpp"

#include <algorithm>
#include <queue>
#include <random>
#include <set>
#include <utility>

#include "base/error.hpp"

namespace ntk::kernel {
namespace {

// Sums of twelve uniform numbers are nearly normal, and the same with every standard library.
std::vector<double> draw_speeds(const Machine& machine) {
  std::mt19937_64 random(machine.seed);
  std::vector<double> speeds;
  for (int r = 0; r < machine.ranks; ++r) {
    double sum = -6;
    for (int i = 0; i < 12; ++i) sum += static_cast<double>(random() >> 11) * 0x1p-53;
    speeds.push_back(std::max(0.25, 1 + machine.spread * sum));
  }
  return speeds;
}

class Run {
 public:
  Run(const Workload& work, const Machine& machine)
      : work_(work),
        machine_(machine),
        speeds_(machine.speeds.empty() ? draw_speeds(machine) : machine.speeds),
        ranks_(static_cast<std::size_t>(machine.ranks)),
        next_(ranks_.size()) {}

  Simulation go() {
    for (std::size_t r = 0; r < ranks_.size(); ++r) {
      ranks_[r].times.end = machine_.setup_seconds;
      if (r < work_.tasks.size()) start(r, r, machine_.setup_seconds);
    }
    while (!events_.empty()) {
      const auto [now, rank] = events_.top();
      events_.pop();
      store_or_take(rank, now);
    }
    return summary();
  }

 private:
  struct Rank {
    RankTimes times;
    const SimulatedTask* task = nullptr;
    std::size_t stored = 0;  // tiles of the task
    double began = 0;
  };
  using Event = std::pair<double, std::size_t>;  // when a rank is done with what it does, rank

  void start(std::size_t rank, std::size_t task, double now) {
    Rank& at = ranks_[rank];
    at.task = &work_.tasks[task];
    at.stored = 0;
    at.began = now;
    ++at.times.tasks;
    const double seconds = at.task->cost / (machine_.rate * speeds_[rank]);
    at.times.computing += seconds;
    events_.emplace(now + seconds, rank);
  }

  void store_or_take(std::size_t rank, double now) {
    Rank& at = ranks_[rank];
    if (at.stored < at.task->tile_bytes.size()) {
      disk_free_ =
          std::max(now, disk_free_) + at.task->tile_bytes[at.stored++] / machine_.disk_rate;
      const double end = disk_free_ + machine_.sync_seconds;
      at.times.storing += end - now;
      events_.emplace(end, rank);
      return;
    }
    at.times.end = now;
    longest_ = std::max(longest_, now - at.began);
    if (next_ >= work_.tasks.size()) return;
    at.times.taking += machine_.take_seconds;
    start(rank, next_++, now + machine_.take_seconds);
  }

  Simulation summary() const {
    Simulation out;
    double busy = 0, storing = 0;
    for (const auto& rank : ranks_) {
      out.ranks.push_back(rank.times);
      out.makespan = std::max(out.makespan, rank.times.end);
      busy +=
          machine_.setup_seconds + rank.times.computing + rank.times.storing + rank.times.taking;
      storing += rank.times.storing;
    }
    double rate = 0;
    for (const double speed : speeds_) rate += machine_.rate * speed;
    const double together = out.makespan * machine_.ranks;
    if (together > 0) {
      out.efficiency = (work_.contraction + work_.passes) / (rate * out.makespan);
      out.imbalance = together / busy - 1;
      out.journal_share = storing / together;
      out.idle_share = 1 - busy / together;
    }
    if (work_.contraction > 0) out.rebuild_share = work_.build / work_.contraction;
    out.longest_task = longest_;
    return out;
  }

  const Workload& work_;
  const Machine& machine_;
  std::vector<double> speeds_;
  std::vector<Rank> ranks_;
  std::size_t next_;  // task that nobody has
  std::priority_queue<Event, std::vector<Event>, std::greater<>> events_;
  double disk_free_ = 0;  // when all that was written so far is on the disk
  double longest_ = 0;
};

}  // namespace

Workload make_workload(const std::vector<Task>& tasks, const Panels& panels,
                       const Operations& operations, int ranges,
                       const std::function<double(const store::Unit&)>& bytes) {
  Workload work;
  std::set<int> touched;
  std::vector<store::TileGrid> grids;
  for (int set = 0; set < static_cast<int>(panels.sets().size()); ++set) {
    grids.push_back(panels.grid(set, 1));
  }
  for (const auto& task : tasks) {
    SimulatedTask& out = work.tasks.emplace_back();
    out.cost = task.cost;
    for (const auto& unit : task.units) {
      const auto [row, column] = grids[static_cast<std::size_t>(unit.set)].panels_of(unit.tile);
      const int p = panels.first_of(unit.set) + static_cast<int>(row);
      out.contraction += operations.contraction(p, static_cast<int>(column)) / ranges;
      out.tile_bytes.push_back(bytes(unit));
    }
    for (int p : task.panels) out.build += operations.build_operations(p);
    work.contraction += out.contraction;
    work.build += out.build;
    touched.insert(task.panels.begin(), task.panels.end());
  }
  for (int p : touched) work.passes += operations.once(p);
  return work;
}

Simulation simulate(const Workload& work, const Machine& machine) {
  ensure(machine.ranks > 0 && machine.rate > 0,
         "a simulation of {} ranks at {} operations a second", machine.ranks, machine.rate);
  ensure(machine.speeds.empty() || static_cast<int>(machine.speeds.size()) == machine.ranks,
         "{} speeds of {} ranks", machine.speeds.size(), machine.ranks);
  return Run(work, machine).go();
}

}  // namespace ntk::kernel
