// What a run of the dispatch would take: a discrete-event simulation of ranks that take tasks from
// one list, compute and store them. Pure values: no MPI, no files, no clock.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "kernel/operations.hpp"
#include "kernel/schedule.hpp"

namespace ntk::kernel {

// A task as the simulation sees it.
struct SimulatedTask {
  double cost = 0;                 // weighted operations: cost / rate = seconds of computing
  double contraction = 0;          // bare operations of its tiles
  double build = 0;                // bare operations of making its panels ready
  std::vector<double> tile_bytes;  // what storing each tile writes
};

struct Workload {
  std::vector<SimulatedTask> tasks;  // in the order of the dispatch
  double contraction = 0;            // sums over the tasks
  double build = 0;
  double passes = 0;  // one forward and a backward an output over every panel touched (the floor's)
};

// `bytes`: what storing a unit writes (total and groups).
Workload make_workload(const std::vector<Task>& tasks, const Panels& panels,
                       const Operations& operations, int ranges,
                       const std::function<double(const store::Unit&)>& bytes);

struct Machine {
  int ranks = 1;
  double rate = 0;  // GEMM rate of a rank, operations a second
  // Speeds of the ranks relative to `rate` (1 = as fast). Empty: drawn, mean 1 and this standard
  // deviation, nearly normal and at least a quarter, the same for the same seed.
  std::vector<double> speeds;
  double spread = 0;
  std::uint64_t seed = 1;
  double setup_seconds = 0;  // before a rank's first task
  double take_seconds = 0;   // asking for the next task
  double sync_seconds = 0;   // a tile's two syncs and its journal entry, beside its bytes
  double disk_rate = 1e300;  // bytes a second that all ranks' writes share, one after another
};

struct RankTimes {
  double computing = 0, storing = 0, taking = 0;  // seconds; storing holds waiting for the disk
  double end = 0;                                 // of its last task
  int tasks = 0;
};

struct Simulation {
  double makespan = 0;       // seconds until the last rank is done, set-up included
  double efficiency = 0;     // (contraction + passes) / (sum of the ranks' rates x makespan)
  double rebuild_share = 0;  // build / contraction, bare operations
  double imbalance = 0;      // makespan against the mean of the ranks' seconds, minus 1
  double journal_share = 0;  // storing / (ranks x makespan)
  double idle_share = 0;     // waiting for others at the end / (ranks x makespan)
  double longest_task = 0;   // seconds, storing included: what a killed rank loses at most
  std::vector<RankTimes> ranks;
};

// Rank r starts with task r; a rank that has stored its tiles takes the next task that nobody has.
Simulation simulate(const Workload& work, const Machine& machine);

}  // namespace ntk::kernel
