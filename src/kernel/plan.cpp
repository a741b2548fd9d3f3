#include "kernel/plan.hpp"

#include <algorithm>
#include <set>

#include "kernel/dry_run.hpp"
#include "kernel/preparation.hpp"
#include "kernel/simulation.hpp"
#include "store/kernel_layout.hpp"

namespace ntk::kernel {
namespace {

constexpr double hash_rate =
    1.2e9;  // bytes a second of SHA-256 and of the check for finite weights
// Ranks and tasks of a rank that are tried for the peak: the first ones are the largest, and memory
// is taken again for the later ones.
constexpr int tried_ranks = 4, tried_tasks = 12;
constexpr double sync_seconds = 0.02;  // of a tile: two syncs and a journal entry, on a local disk

std::size_t real_bytes(const ComputeDevice& device) {
  return device.precision == device::Precision::fp64 ? sizeof(double) : sizeof(float);
}

// Of all tensors that the model uses, as they lie in the file.
double mapped_bytes(const KernelInputs& inputs) {
  double bytes = 0;
  for (const auto& p : inputs.model.architecture.parameters) {
    if (!p.from_checkpoint()) continue;
    const auto& tensor = inputs.model.checkpoint->file_of(p.source).info(p.source);
    bytes += static_cast<double>(tensor.end - tensor.begin);
  }
  return bytes;
}

double tile_bytes(const KernelInputs& inputs, const store::Unit& unit) {
  const auto [p, q] = inputs.panels.of_tile(unit.set, unit.tile);
  const auto rows = [&](int panel) {
    return static_cast<double>(inputs.settings.tile_rows(inputs.panels.at(panel).samples));
  };
  return 8 * rows(p) * rows(q);
}

}  // namespace

KernelPlan::KernelPlan(const Job& job, const KernelInputs& inputs, const ComputeDevice& device,
                       const Rates& rates, const store::FilePlan& file, double program_bytes)
    : job_(job),
      inputs_(inputs),
      device_(device),
      rates_(rates),
      file_(file),
      program_bytes_(program_bytes),
      operations_(inputs.model.architecture, inputs.model.config, inputs.settings, inputs.panels),
      admitted_(job, inputs, operations_, device),
      check_(plan_check(inputs, check_samples(inputs, job.run.seed), device.host)) {
  for (int set = 0; set < static_cast<int>(inputs.panels.sets().size()); ++set) {
    const std::int64_t tiles = inputs.panels.grid(set, 1).tile_count();
    units_ += tiles * job.kernel.ranges;
    for (std::int64_t tile = 0; tile < tiles; ++tile) {
      for (int range = 0; range < job.kernel.ranges; ++range) {
        units_left_ += file.there.has({set, tile, range}) ? 0 : 1;
      }
    }
  }
}

RunPlan KernelPlan::run(int ranks, bool memory) const {
  RunPlan plan;
  plan.ranks = ranks;
  const auto undone = [&](const store::Unit& unit) { return !file_.there.has(unit); };
  const double hours = job_.run.max_hours;
  plan.tasks = make_tasks(inputs_.panels, operations_, undone,
                          schedule_limits(job_, ranks, admitted_.largest_panels(), rates_.gemm,
                                          hours > 0 ? 3600 * hours : HUGE_VAL));
  const auto keeps = [&](const Task& task) { return admitted_.keeps_records(task); };
  std::vector<store::Unit> units;
  for (const Task& task : plan.tasks) {
    plan.kept_records += keeps(task);
    units.insert(units.end(), task.units.begin(), task.units.end());
  }
  plan.operations = count_operations(inputs_, job_.kernel.ranges, plan.tasks, keeps);
  plan.useful = useful_contraction(inputs_.panels, operations_, units, job_.kernel.ranges);
  plan.floor = (plan.useful + least_passes(plan.tasks, operations_)) / (rates_.gemm * ranks);
  if (memory) plan.memory = peak(plan);
  Machine machine;
  machine.ranks = ranks;
  machine.rate = rates_.gemm;
  machine.sync_seconds = sync_seconds;
  machine.disk_rate = rates_.disk;
  const double matrices = 1.0 + static_cast<double>(inputs_.groups.names.size());
  const double number = job_.kernel.storage == "fp32" ? 0.5 : 1;  // against fp64
  const Simulation made =
      simulate(make_workload(
                   plan.tasks, inputs_.panels, operations_, job_.kernel.ranges,
                   [&](const auto& unit) { return matrices * number * tile_bytes(inputs_, unit); }),
               machine);
  const MemoryParts& m = plan.memory;
  plan.seconds = times(made.makespan,
                       device_.kind == device::Kind::cpu ? m.panels + m.gradients + m.tiles : 0);
  if (made.makespan > 0) {
    plan.idle = made.idle_share;
    plan.efficiency = plan.floor / plan.seconds.kernel;
  }
  return plan;
}

// The tasks run on a device that only counts, in the order in which the first ranks take them.
MemoryParts KernelPlan::peak(const RunPlan& plan) const {
  const auto keeps = [&](const Task& task) { return admitted_.keeps_records(task); };
  const bool gpu = device_.kind == device::Kind::cuda;
  const std::size_t groups = std::max<std::size_t>(1, inputs_.groups.names.size());
  const double own_weights = weight_bytes(inputs_.model, real_bytes(device_), !gpu);
  MemoryParts parts;
  parts.program = program_bytes_;
  parts.weights = mapped_bytes(inputs_);
  const int tasks = static_cast<int>(plan.tasks.size());
  double most = 0;
  for (int rank = 0; rank < std::min({plan.ranks, tried_ranks, tasks}); ++rank) {
    std::vector<const Task*> own;
    for (int t = rank; t < tasks && static_cast<int>(own.size()) < tried_tasks; t += plan.ranks) {
      own.push_back(&plan.tasks[static_cast<std::size_t>(t)]);
    }
    const DryRun tried = dry_run(inputs_, device_, job_.kernel.ranges, own, keeps);
    const auto held = static_cast<double>(tried.device_bytes);
    if (held <= most) continue;
    most = held;
    parts.tiles = parts.copies = 0;
    for (const Task* task : own) {
      double tiles = 0, largest = 0;
      for (const auto& unit : task->units) {
        tiles += static_cast<double>(groups) * tile_bytes(inputs_, unit);
        largest = std::max(largest, tile_bytes(inputs_, unit));
      }
      parts.tiles = std::max(parts.tiles, tiles);
      // A finished tile before and after it is brought into the file's order, and what is stored.
      parts.copies = std::max(parts.copies, static_cast<double>(groups + (gpu ? 5 : 3)) * largest);
    }
    parts.gradients = std::min(static_cast<double>(tried.operand_bytes), held - parts.tiles);
  }
  parts.panels = std::max(0.0, most - parts.tiles - parts.gradients - own_weights);
  const double on_device = parts.panels + parts.gradients + parts.tiles + own_weights;
  const double held = gpu ? parts.copies : on_device + parts.copies;
  if (gpu) {
    parts.device = on_device;
  } else {
    parts.weights += own_weights;
  }
  // The check comes when all else has been given back.
  parts.check = std::max(0.0, static_cast<double>(check_.bytes) - held);
  parts.host = parts.program + mapped_bytes(inputs_) + held + parts.check;
  return parts;
}

StageTimes KernelPlan::times(double tasks, double touched) const {
  StageTimes t;
  t.start = mapped_bytes(inputs_) * 2 / hash_rate;
  if (rates_.fresh_memory > 0) t.memory = touched / rates_.fresh_memory;
  t.kernel = tasks > 0 ? t.memory + tasks : 0;
  t.check = check_.cost / rates_.check;
  t.finish = static_cast<double>(file_.mirror_bytes) / rates_.disk;
  return t;
}

}  // namespace ntk::kernel
