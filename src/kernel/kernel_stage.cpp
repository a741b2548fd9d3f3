#include "kernel/kernel_stage.hpp"

#include <algorithm>
#include <optional>
#include <set>
#include <utility>

#include "base/log.hpp"
#include "base/memory.hpp"
#include "base/stopwatch.hpp"
#include "kernel/gemm_rate.hpp"
#include "kernel/memory_plan.hpp"
#include "kernel/progress.hpp"
#include "kernel/self_check.hpp"
#include "kernel/task_runner.hpp"
#include "parallel/collectives.hpp"
#include "parallel/mpi.hpp"
#include "store/disk.hpp"
#include "store/kernel_layout.hpp"

namespace ntk::kernel {
namespace {

using nlohmann::json;

// A task of several tiles may take this long at the GEMM rate: what a killed job loses at most.
constexpr double longest_task_seconds = 120;

// Refuses what this build cannot do, before any work.
void check_support(const Job& job) {
  require(job.kernel.device != "cuda", ExitCode::resources,
          "kernel.device = \"cuda\" (this version computes kernels on the CPU) use \"auto\" or "
          "\"cpu\"");
  require(job.kernel.precision == "fp32" || job.kernel.precision == "fp64", ExitCode::usage,
          "kernel.precision = \"{}\" on the CPU (reduced precisions are for devices that have them "
          "in hardware) use \"fp32\" or \"fp64\"",
          job.kernel.precision);
}

store::KernelSpec make_spec(const Job& job, const KernelInputs& inputs, const json& identity,
                            const json& provenance, std::int64_t checked, bool mirror) {
  store::KernelSpec spec;
  spec.identity = identity;
  spec.provenance = provenance;
  spec.rows_per_sample = inputs.outputs.rows_per_sample;
  spec.output_columns = inputs.outputs.output_columns;
  spec.groups = inputs.groups.names;
  spec.single_precision = job.kernel.storage == "fp32";
  spec.ranges = job.kernel.ranges;
  spec.error_samples = checked;
  spec.mirror_planned = mirror;
  if (job.kernel.allow_other_hardware) spec.free_keys = hardware_keys;
  for (std::size_t s = 0; s < inputs.tables.size(); ++s) {
    spec.sets.push_back({inputs.panels.sets()[s].name,
                         inputs.panels.grid(static_cast<int>(s), spec.rows_per_sample),
                         inputs.tables[s]});
  }
  return spec;
}

// Mirrored unless the full matrices would take more than 32 GiB.
bool wants_mirror(const Job& job, const KernelInputs& inputs) {
  if (job.kernel.mirror != Job::Kernel::Mirror::automatic) {
    return job.kernel.mirror == Job::Kernel::Mirror::on;
  }
  const double n =
      static_cast<double>(inputs.panels.grid(0, inputs.outputs.rows_per_sample).rows());
  const double bytes = job.kernel.storage == "fp32" ? 4 : 8;
  return n * n * bytes * static_cast<double>(1 + inputs.groups.names.size()) <= 32.0 * (1 << 30);
}

// Refuses what would run out of memory, the self-check at the very end included.
void check_memory(const Job& job, const Resources& resources, const KernelInputs& inputs,
                  int rank) {
  const Operations operations(inputs.model.architecture, inputs.model.config, inputs.settings,
                              inputs.panels);
  static_cast<void>(MemoryPlan(job, inputs, operations, resources.memory));
  if (rank != 0) return;
  static_cast<void>(
      check_panel_samples(inputs, check_samples(inputs, job.run.seed), resources.memory));
}

// Reading refuses weights that are not finite.
void check_weights(const KernelInputs& inputs) {
  for (const auto& p : inputs.model.architecture.parameters) {
    if (!p.source.empty()) static_cast<void>(inputs.model.checkpoint->read<float>(p.source));
  }
}

// Finds what would end the work, before any is done and before a file is laid out: that of a
// refused job would stand in the way of the corrected one, which has another identity. A file that
// is there was laid out for weights that passed.
void check_first(const Job& job, const Resources& resources, const KernelInputs& inputs, int rank) {
  const std::string path = job.run.directory + "/kernel.h5";
  if (store::file_exists(path)) return;
  check_memory(job, resources, inputs, rank);
  if (rank == 0 && !store::file_exists(path + ".partial")) check_weights(inputs);
}

double sum_contraction(const Panels& panels, const Operations& operations,
                       const std::vector<store::Unit>& units, int ranges) {
  double sum = 0;
  for (const auto& unit : units) {
    const auto [p, q] = panels.of_tile(unit.set, unit.tile);
    sum += operations.contraction(p, q) / ranges;
  }
  return sum;
}

struct Outcome {
  WorkTimes work;
  double store_seconds = 0, wall = 0, rate = 0, useful = 0, floor = 0;
  std::int64_t tiles = 0;
};

// One forward pass and a backward pass an output over every panel that some task touches.
double passes(const std::vector<Task>& tasks, const Operations& operations) {
  std::set<int> touched;
  for (const auto& task : tasks) touched.insert(task.panels.begin(), task.panels.end());
  double sum = 0;
  for (int p : touched) sum += operations.once(p);
  return sum;
}

template <class Real>
Outcome compute(MPI_Comm comm, const Job& job, const Resources& resources,
                const KernelInputs& inputs, store::KernelWriter& writer) {
  int rank = 0, ranks = 1;
  MPI_Comm_rank(comm, &rank);
  MPI_Comm_size(comm, &ranks);
  Outcome out;
  auto backend = device::make_cpu_backend<Real>(resources.threads, resources.memory);
  const Operations operations(inputs.model.architecture, inputs.model.config, inputs.settings,
                              inputs.panels);
  std::optional<MemoryPlan> memory;
  std::optional<GemmRate<Real>> rate;
  std::optional<model::Model<Real>> model;
  parallel::collectively(comm, [&] {
    memory.emplace(job, inputs, operations, resources.memory);
    rate.emplace(*backend);
    model.emplace(*backend, inputs.model);
  });

  // Ranks must cut the same tasks: what they know of their own is agreed on first.
  const int panels = parallel::all_min(comm, memory->largest_panels());
  const double slowest = parallel::all_min(comm, rate->mean());
  const double together = parallel::all_sum(comm, rate->mean());
  const auto undone = [&](const store::Unit& unit) { return !writer.done(unit); };
  const auto tasks = make_tasks(inputs.panels, operations, undone,
                                {ranks, job.kernel.ranges, panels, longest_task_seconds * slowest});
  const auto shares = assign(tasks, ranks);
  std::vector<store::Unit> all;
  for (const auto& task : tasks) all.insert(all.end(), task.units.begin(), task.units.end());
  out.tiles = static_cast<std::int64_t>(all.size());
  out.useful = sum_contraction(inputs.panels, operations, all, job.kernel.ranges);
  out.floor = out.useful + passes(tasks, operations);
  log::info(
      "kernel: {} tiles in {} tasks, GEMM {:.1f} GFLOP/s on {} ranks x {} threads, floor {:.1f} s",
      out.tiles, tasks.size(), together / 1e9, ranks, resources.threads, out.floor / together);

  TaskRunner<Real> runner(*backend, *model, inputs.settings, inputs.outputs, inputs.groups,
                          job.kernel.ranges);
  Progress progress(comm, out.tiles, out.useful, together);
  for (int t : shares[static_cast<std::size_t>(rank)]) {
    const Task& task = tasks[static_cast<std::size_t>(t)];
    const double work = sum_contraction(inputs.panels, operations, task.units, job.kernel.ranges);
    double told = 0;  // share of the task that progress knows of
    const auto tick = [&](double done) {
      progress.advance(0, work * (done - std::exchange(told, done)));
    };
    const auto store = [&](const store::Unit& unit, const store::TileData& made) {
      Stopwatch watch(out.store_seconds);
      writer.write(unit, made);
      progress.advance(1, 0);
    };
    runner.run(inputs.panels, task, memory->keeps_records(task), out.work, tick, store);
    rate->again();
  }
  progress.wait_for_all();
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
          {"useful_operations", out.useful}};
}

// Collective. A tile's bits must not depend on who computed it: all ranks must see the same files
// and have the same arithmetic. (Of the weights the first rank's hash stands for all.)
void agree_on_identity(MPI_Comm comm, const json& identity, bool other_hardware) {
  char host[MPI_MAX_PROCESSOR_NAME] = {};
  int length = 0;
  MPI_Get_processor_name(host, &length);
  const auto all = parallel::all_gather(comm, json{{"host", host}, {"identity", identity}}.dump());
  const json first = json::parse(all.front());
  for (const auto& text : all) {
    if (text == all.front()) continue;
    const json other = json::parse(text);
    const json& ours = first["identity"];
    const json& theirs = other["identity"];
    for (const auto& key : store::differing_keys(ours, theirs)) {
      const bool hardware =
          std::find(hardware_keys.begin(), hardware_keys.end(), key) != hardware_keys.end();
      if (hardware && other_hardware) continue;
      throw parallel::AgreedError(
          ExitCode::usage,
          fmt::format("{} differs between ranks: {} on {}, {} on {} (a tile's bits must not depend "
                      "on who computes it) {}",
                      key, ours.value(key, json()).dump(), first["host"].get<std::string>(),
                      theirs.value(key, json()).dump(), other["host"].get<std::string>(),
                      hardware ? "use nodes of one kind, or kernel.allow_other_hardware = true"
                               : "give all nodes the same files"));
    }
  }
}

}  // namespace

json run_kernel(MPI_Comm comm, const Job& job, const Resources& resources, const json& provenance) {
  int rank = 0;
  MPI_Comm_rank(comm, &rank);
  std::unique_ptr<const KernelInputs> inputs;
  parallel::collectively(comm, [&] {
    check_support(job);
    inputs = std::make_unique<const KernelInputs>(read_kernel_inputs(job));
  });
  std::string weights;
  parallel::collectively(comm, [&] {
    if (rank == 0) weights = inputs->model.checkpoint->sha256();
    check_first(job, resources, *inputs, rank);
  });
  parallel::broadcast(comm, weights);
  const json identity = kernel_identity(job, *inputs, weights);
  agree_on_identity(comm, identity, job.kernel.allow_other_hardware);
  const auto checked = check_samples(*inputs, job.run.seed);
  const bool mirror = wants_mirror(job, *inputs);
  const auto& first = inputs->panels.sets()[0];
  log::info(
      "kernel: {} samples x {} rows, {} tokens, {} parameters of {}, groups: {}", first.samples(),
      inputs->outputs.rows_per_sample, first.tokens.tokens.size(),
      [&] {
        std::int64_t count = 0;
        for (const auto& p : inputs->model.architecture.parameters) {
          count += p.selected ? p.count() : 0;
        }
        return count;
      }(),
      inputs->model.config.model_type,
      inputs->groups.names.empty() ? "none"
                                   : fmt::format("{}", fmt::join(inputs->groups.names, ", ")));

  store::KernelWriter writer(comm, job.run.directory,
                             make_spec(job, *inputs, identity, provenance,
                                       static_cast<std::int64_t>(checked.size()), mirror));
  if (writer.state() == store::KernelWriter::State::complete) {
    log::info("kernel: {}/kernel.h5 is complete and of this job, nothing to do", job.run.directory);
    return {{"reused", true}};
  }
  if (writer.state() == store::KernelWriter::State::resumed) {
    log::info("kernel: going on with {}/kernel.h5.partial, {} tiles are there ({} damaged)",
              job.run.directory, writer.units_done(), writer.units_damaged());
  }
  parallel::collectively(comm, [&] {
    if (rank == 0) {
      model::write_head(job.run.directory + "/head.safetensors", inputs->model.head,
                        inputs->model.config.hidden_size);
    }
  });

  const Outcome out = job.kernel.precision == "fp64"
                          ? compute<double>(comm, job, resources, *inputs, writer)
                          : compute<float>(comm, job, resources, *inputs, writer);
  json result = out.tiles > 0 ? report(comm, out) : json{{"tiles", 0}};

  store::MeasuredError error;
  double check_seconds = 0, finish_seconds = 0;
  {
    Stopwatch watch(check_seconds);
    parallel::collectively(comm, [&] {
      if (rank == 0) {
        error = measure_error(checked, stored_entries(*inputs, writer, checked),
                              recompute(*inputs, checked, resources.threads, resources.memory),
                              unit_roundoff(job.kernel.precision));
      }
    });
  }
  const double peak = static_cast<double>(parallel::all_max(
                          comm, static_cast<std::int64_t>(peak_resident_memory()))) /
                      (1 << 30);
  parallel::broadcast(comm, &error.delta, sizeof error.delta);
  parallel::broadcast(comm, &error.rms, sizeof error.rms);
  parallel::broadcast(comm, &error.largest, sizeof error.largest);
  error.samples = checked;
  {
    Stopwatch watch(finish_seconds);
    writer.finish(mirror, error, json::object());
  }
  log::info(
      "kernel: measured error of an entry {:.2e} (rms), {:.1e} of the entries' rms; peak memory "
      "{:.2f} GiB a rank; written to {}/kernel.h5",
      error.delta, error.delta / error.rms, peak, job.run.directory);
  result["peak_memory_gib"] = peak;
  result["timings"]["self_check"] = check_seconds;
  result["timings"]["finish"] = finish_seconds;
  result["error"] = {{"delta", error.delta}, {"rms", error.rms}, {"largest", error.largest}};
  return result;
}

}  // namespace ntk::kernel
