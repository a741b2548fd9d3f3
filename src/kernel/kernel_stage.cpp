#include "kernel/kernel_stage.hpp"

#include <algorithm>
#include <filesystem>
#include <random>

#include "base/log.hpp"
#include "base/stopwatch.hpp"
#include "kernel/progress.hpp"
#include "kernel/self_check.hpp"
#include "kernel/task_runner.hpp"
#include "parallel/collectives.hpp"
#include "parallel/mpi.hpp"
#include "store/disk.hpp"

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

// Operations a second of this rank's GEMM, all its threads, at the best of three.
template <class Real>
double measure_gemm(device::Backend<Real>& backend) {
  constexpr std::int64_t n = 1536;
  std::mt19937 bits(1);
  std::vector<Real> random(static_cast<std::size_t>(n * n));
  for (auto& x : random) x = static_cast<Real>(bits()) / static_cast<Real>(bits.max()) - Real(0.5);
  const model::Buffer<Real> a(backend, std::span<const Real>(random));
  model::Buffer<Real> c(backend, n * n);
  double best = 1e300;
  for (int repeat = 0; repeat < 4; ++repeat) {
    double seconds = 0;
    {
      Stopwatch watch(seconds);
      backend.gemm(false, true, n, n, n, a.data(), n, a.data(), n, false, c.data(), n);
    }
    if (repeat > 0) best = std::min(best, seconds);
  }
  return 2.0 * static_cast<double>(n * n * n) / best;
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

// How many panels a task may touch within the memory of a rank.
int panels_that_fit(const Job& job, const KernelInputs& inputs, const Operations& operations,
                    std::size_t memory) {
  double largest = 0, tile = 0;
  const std::size_t width = job.kernel.precision == "fp64" ? sizeof(double) : sizeof(float);
  for (int p = 0; p < static_cast<int>(inputs.panels.all().size()); ++p) {
    largest = std::max(largest, operations.panel_bytes(p, width));
    const auto rows = static_cast<double>(inputs.settings.tile_rows(inputs.panels.at(p).samples));
    tile = std::max(tile, rows * rows * 8.0 * static_cast<double>(3 + inputs.groups.names.size()));
  }
  if (memory == 0) return 1 << 20;
  int count = 0;  // largest count whose panels and tiles fit
  while (count < (1 << 12) && (count + 1) * largest + (count + 1) * (count + 2) / 2 * tile <=
                                  static_cast<double>(memory)) {
    ++count;
  }
  require(
      count >= 2 || (count >= 1 && inputs.panels.all().size() == 1), ExitCode::resources,
      "a pair of panels needs {:.2g} GiB and this rank may use {:.2g} GiB (panels of {} samples, "
      "up to {} outputs) lower kernel.tile_samples or kernel.slice_columns, raise "
      "kernel.memory_gib or run fewer ranks a node",
      (2 * largest + 3 * tile) / (1 << 30), static_cast<double>(memory) / (1 << 30),
      job.kernel.tile_samples, inputs.settings.copies);
  return count;
}

// Finds what would end the work at once before a file is laid out: that of a refused job would
// stand in the way of the corrected one, which has another identity.
void check_first(const Job& job, const Resources& resources, const KernelInputs& inputs, int rank) {
  const Operations operations(inputs.model.architecture, inputs.model.config, inputs.settings,
                              inputs.panels);
  panels_that_fit(job, inputs, operations, resources.memory);
  if (rank != 0) return;
  for (const auto& p :
       inputs.model.architecture.parameters) {  // reading refuses what is not finite
    if (!p.source.empty()) static_cast<void>(inputs.model.checkpoint->read<float>(p.source));
  }
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

// Entries of the checked samples' rows against each other, from the stored tiles.
std::vector<double> stored_entries(const KernelInputs& inputs, const store::KernelWriter& writer,
                                   const std::vector<std::int64_t>& samples) {
  const std::int64_t c = inputs.outputs.rows_per_sample;
  const auto grid = inputs.panels.grid(0, c);
  std::vector<std::int64_t> rows;
  for (auto i : samples) {
    for (std::int64_t k = 0; k < c; ++k) rows.push_back(i * c + k);
  }
  const auto panel_of = [&](std::int64_t row) {
    return std::upper_bound(grid.row_starts.begin(), grid.row_starts.end(), row) -
           grid.row_starts.begin() - 1;
  };
  const auto n = rows.size();
  std::vector<double> out(n * n);
  std::int64_t held = -1;
  std::vector<double> tile;
  // Rows ascend, so entries of one tile come in runs when walked panel by panel.
  for (std::size_t a = 0; a < n; ++a) {
    for (std::size_t b = 0; b <= a; ++b) {
      const auto p = panel_of(rows[a]), q = panel_of(rows[b]);
      if (grid.tile_index(p, q) != held) {
        held = grid.tile_index(p, q);
        tile = writer.read_total(held);
      }
      const auto first_column = grid.column_starts[static_cast<std::size_t>(q)];
      const auto width = grid.column_starts[static_cast<std::size_t>(q) + 1] - first_column;
      const auto at =
          (rows[a] - grid.row_starts[static_cast<std::size_t>(p)]) * width + rows[b] - first_column;
      out[a * n + b] = out[b * n + a] = tile[static_cast<std::size_t>(at)];
    }
  }
  return out;
}

struct Outcome {
  WorkTimes work;
  double store_seconds = 0, wall = 0, rate = 0, useful = 0, floor = 0;
  std::int64_t tiles = 0, peak_bytes = 0;
};

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
  const int fit = panels_that_fit(job, inputs, operations, resources.memory);
  const double mine = measure_gemm(*backend);
  out.rate = parallel::all_sum(comm, mine);
  const double slowest = parallel::all_min(comm, mine);

  const auto undone = [&](const store::Unit& unit) { return !writer.done(unit); };
  const auto tasks = make_tasks(inputs.panels, operations, undone,
                                {ranks, job.kernel.ranges, fit, longest_task_seconds * slowest});
  const auto shares = assign(tasks, ranks);
  std::vector<store::Unit> all;
  for (const auto& task : tasks) all.insert(all.end(), task.units.begin(), task.units.end());
  out.tiles = static_cast<std::int64_t>(all.size());
  out.useful = sum_contraction(inputs.panels, operations, all, job.kernel.ranges);
  out.floor = out.useful;
  std::vector<int> touched;
  for (const auto& task : tasks)
    touched.insert(touched.end(), task.panels.begin(), task.panels.end());
  std::sort(touched.begin(), touched.end());
  touched.erase(std::unique(touched.begin(), touched.end()), touched.end());
  for (int p : touched) out.floor += operations.once(p);
  log::info(
      "kernel: {} tiles in {} tasks, GEMM {:.1f} GFLOP/s on {} ranks x {} threads, floor {:.1f} s",
      out.tiles, tasks.size(), out.rate / 1e9, ranks, resources.threads, out.floor / out.rate);

  const model::Model<Real> model(*backend, inputs.model);
  TaskRunner<Real> runner(*backend, model, inputs.settings, inputs.outputs, inputs.groups,
                          job.kernel.ranges);
  Progress progress(comm, out.tiles, out.useful, out.rate);
  for (int t : shares[static_cast<std::size_t>(rank)]) {
    const Task& task = tasks[static_cast<std::size_t>(t)];
    double needed = 0;
    for (int p : task.panels) {
      needed += operations.panel_bytes(p, sizeof(Real)) + operations.kept_bytes(p, sizeof(Real));
    }
    const bool keep = resources.memory == 0 || needed < 0.8 * static_cast<double>(resources.memory);
    const auto made = runner.run(inputs.panels, task, keep, out.work, [&] { progress.poll(); });
    {
      Stopwatch watch(out.store_seconds);
      for (std::size_t u = 0; u < made.size(); ++u) writer.write(task.units[u], made[u]);
    }
    progress.finished(static_cast<std::int64_t>(task.units.size()),
                      sum_contraction(inputs.panels, operations, task.units, job.kernel.ranges));
  }
  progress.wait_for_all();
  out.wall = progress.seconds();
  out.peak_bytes = static_cast<std::int64_t>(backend->peak_bytes());
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
  const double busiest = parallel::all_sum(comm, contracting);
  const double share = busiest > 0 ? out.useful / busiest / (out.rate / ranks) : 0;
  json timings = {{"kernel", out.wall}};
  timings["ranks"] = {{"forward", spread(comm, out.work.forward, ranks)},
                      {"backward", spread(comm, out.work.backward, ranks)},
                      {"form", spread(comm, out.work.jacobian.form, ranks)},
                      {"contract", spread(comm, out.work.jacobian.contract, ranks)},
                      {"store", spread(comm, out.store_seconds, ranks)}};
  const double peak = static_cast<double>(parallel::all_max(comm, out.peak_bytes)) / (1 << 30);
  log::plain("  {:<12}{:>10}{:>10}{:>10}   seconds over ranks", "", "min", "mean", "max");
  for (const auto& [name, s] : timings["ranks"].items()) {
    log::plain("  {:<12}{:>10.2f}{:>10.2f}{:>10.2f}", name, s["min"].get<double>(),
               s["mean"].get<double>(), s["max"].get<double>());
  }
  log::info(
      "kernel: {:.1f} s, {:.2f} x the floor of {:.1f} s; contraction at {:.0f} % of the GEMM "
      "rate, forming included; peak {:.2f} GiB a rank",
      out.wall, out.wall / (out.floor / out.rate), out.floor / out.rate, 100 * share, peak);
  return {{"timings", timings},
          {"tiles", out.tiles},
          {"share", share},
          {"floor", out.floor / out.rate},
          {"floor_ratio", out.wall / (out.floor / out.rate)},
          {"gemm_rate", out.rate},
          {"useful_operations", out.useful},
          {"peak_memory_gib", peak}};
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
    const std::string path = job.run.directory + "/kernel.h5";
    if (!store::file_exists(path) && !store::file_exists(path + ".partial")) {
      check_first(job, resources, *inputs, rank);
    }
  });
  parallel::broadcast(comm, weights);
  const json identity = kernel_identity(job, *inputs, weights);
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
  json result = report(comm, out);

  store::MeasuredError error;
  double check_seconds = 0, finish_seconds = 0;
  {
    Stopwatch watch(check_seconds);
    parallel::collectively(comm, [&] {
      if (rank == 0) {
        error = measure_error(checked, stored_entries(*inputs, writer, checked),
                              recompute(*inputs, checked, resources.threads),
                              unit_roundoff(job.kernel.precision));
      }
    });
  }
  parallel::broadcast(comm, &error.delta, sizeof error.delta);
  parallel::broadcast(comm, &error.rms, sizeof error.rms);
  parallel::broadcast(comm, &error.largest, sizeof error.largest);
  error.samples = checked;
  {
    Stopwatch watch(finish_seconds);
    writer.finish(mirror, error, json::object());
  }
  log::info(
      "kernel: measured error of an entry {:.2e} (rms), {:.1e} of the entries' rms; written to "
      "{}/kernel.h5",
      error.delta, error.delta / error.rms, job.run.directory);
  result["timings"]["self_check"] = check_seconds;
  result["timings"]["finish"] = finish_seconds;
  result["error"] = {{"delta", error.delta}, {"rms", error.rms}, {"largest", error.largest}};
  return result;
}

}  // namespace ntk::kernel
