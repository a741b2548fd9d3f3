#include "kernel/task_loop.hpp"

#include <algorithm>
#include <optional>
#include <utility>

#include "base/heartbeat.hpp"
#include "base/log.hpp"
#include "base/stopwatch.hpp"
#include "kernel/dispatch.hpp"
#include "kernel/gemm_rate.hpp"
#include "kernel/memory_plan.hpp"
#include "kernel/operation_table.hpp"
#include "kernel/preparation.hpp"
#include "kernel/task_runner.hpp"
#include "parallel/collectives.hpp"

namespace ntk::kernel {
namespace {

using nlohmann::json;

// Pieces of a task between which a rank shows that it lives.
constexpr double silent_seconds = 600;

struct Outcome {
  WorkTimes work;
  double store_seconds = 0, wall = 0, rate = 0, useful = 0, floor = 0;
  std::int64_t tiles = 0;
  bool stopped = false;
  std::size_t device_bytes = 0;  // most that was held there
};

template <class Real>
Outcome compute(MPI_Comm comm, const Job& job, const Resources& resources,
                const ComputeDevice& device, const KernelInputs& inputs,
                store::KernelWriter& writer, const Counted& counted) {
  int ranks = 1;
  MPI_Comm_size(comm, &ranks);
  Outcome out;
  std::unique_ptr<device::Backend<Real>> backend;
  const Operations operations(inputs.model.architecture, inputs.model.config, inputs.settings,
                              inputs.panels);
  std::optional<MemoryPlan> memory;
  std::optional<GemmRate<Real>> rate;
  std::optional<model::Model<Real>> model;
  parallel::collectively(comm, [&] {
    backend = make_backend<Real>(device, resources.threads);
    memory.emplace(job, inputs, operations, device);
    rate.emplace(*backend);
    model.emplace(*backend, inputs.model);
  });

  // Ranks must cut the same tasks: what they know of their own is agreed on first.
  const int panels = parallel::all_min(comm, memory->largest_panels());
  const double slowest = parallel::all_min(comm, rate->mean());
  const double together = parallel::all_sum(comm, rate->mean());
  const auto undone = [&](const store::Unit& unit) { return !writer.done(unit); };
  const auto tasks = make_tasks(inputs.panels, operations, undone,
                                schedule_limits(job, ranks, panels, slowest, resources.seconds));
  std::vector<store::Unit> all;
  for (const auto& task : tasks) all.insert(all.end(), task.units.begin(), task.units.end());
  out.tiles = static_cast<std::int64_t>(all.size());
  out.useful = useful_contraction(inputs.panels, operations, all, job.kernel.ranges);
  out.floor = out.useful + least_passes(tasks, operations);
  log::info(
      "kernel: {} tiles in {} tasks, {} GEMM {:.1f} GFLOP/s on {} ranks x {}, floor {:.1f} s",
      out.tiles, tasks.size(), device::facts(device.precision).name, together / 1e9, ranks,
      device.kind == device::Kind::cuda ? "1 GPU" : fmt::format("{} threads", resources.threads),
      out.floor / together);

  TaskRunner<Real> runner(*backend, *model, inputs.settings, inputs.outputs, inputs.groups,
                          job.kernel.ranges);
  heartbeat::expect("tasks of the kernel", silent_seconds);
  Progress progress(out.tiles, out.useful, together);
  Dispatch dispatch(comm, static_cast<int>(tasks.size()), progress, counted);
  while (const auto t = dispatch.next()) {
    const Task& task = tasks[static_cast<std::size_t>(*t)];
    const double work =
        useful_contraction(inputs.panels, operations, task.units, job.kernel.ranges);
    double told = 0;  // share of the task that the dispatch knows of
    const auto tick = [&](double done) {
      dispatch.tick(done, work * (done - std::exchange(told, done)));
    };
    const auto store = [&](const store::Unit& unit, const store::TileData& made) {
      Stopwatch watch(out.store_seconds);
      writer.write(unit, made);
      dispatch.stored();
    };
    try {
      runner.run(inputs.panels, task, memory->keeps_records(task), out.work, tick, store);
    } catch (const TaskDropped&) {
      break;
    }
    rate->again();
  }
  dispatch.finish();
  out.stopped = dispatch.stopped() != stop::Reason::none;
  out.device_bytes = backend->peak_bytes();
  out.wall = progress.seconds();
  out.rate = parallel::all_sum(comm, rate->mean());
  return out;
}

// Minimum, mean and maximum over the ranks of a named time.
json spread(MPI_Comm comm, double seconds, int ranks) {
  return {{"min", parallel::all_min(comm, seconds)},
          {"mean", parallel::all_sum(comm, seconds) / ranks},
          {"max", parallel::all_max(comm, seconds)}};
}

json report(MPI_Comm comm, const Outcome& out) {
  int ranks = 1;
  MPI_Comm_size(comm, &ranks);
  const double contracting = out.work.jacobian.contract + out.work.jacobian.form;
  const double all = parallel::all_sum(comm, contracting);
  const double share = all > 0 ? out.useful / all / (out.rate / ranks) : 0;
  const double floor = out.floor / out.rate;
  json timings = {{"kernel", out.wall}};
  timings["ranks"] = {{"forward", spread(comm, out.work.forward, ranks)},
                      {"backward", spread(comm, out.work.backward, ranks)},
                      {"form", spread(comm, out.work.jacobian.form, ranks)},
                      {"contract", spread(comm, out.work.jacobian.contract, ranks)},
                      {"store", spread(comm, out.store_seconds, ranks)}};
  log::plain("  {:<12}{:>10}{:>10}{:>10}   seconds over ranks", "", "min", "mean", "max");
  for (const auto& [name, s] : timings["ranks"].items()) {
    log::plain("  {:<12}{:>10.2f}{:>10.2f}{:>10.2f}", name, s["min"].get<double>(),
               s["mean"].get<double>(), s["max"].get<double>());
  }
  log::info(
      "kernel: {:.1f} s, {:.2f} x the floor of {:.1f} s; contraction at {:.0f} % of the GEMM rate "
      "({:.1f} GFLOP/s), forming included",
      out.wall, out.wall / floor, floor, 100 * share, out.rate / 1e9);
  return {{"timings", timings},
          {"tiles", out.tiles},
          {"share", share},
          {"floor", floor},
          {"floor_ratio", out.wall / floor},
          {"gemm_rate", out.rate},
          {"device_memory_gib", static_cast<double>(parallel::all_max(
                                    comm, static_cast<std::int64_t>(out.device_bytes))) /
                                    (1 << 30)},
          {"useful_operations", out.useful}};
}

}  // namespace

json run_tasks(MPI_Comm comm, const Job& job, const Resources& resources,
               const ComputeDevice& device, const KernelInputs& inputs, store::KernelWriter& writer,
               const Counted& counted) {
  const Outcome out = device.precision == device::Precision::fp64
                          ? compute<double>(comm, job, resources, device, inputs, writer, counted)
                          : compute<float>(comm, job, resources, device, inputs, writer, counted);
  return out.tiles > 0 && !out.stopped ? report(comm, out) : json{{"tiles", 0}};
}

}  // namespace ntk::kernel
