#include "kernel/kernel_stage.hpp"

#include "base/heartbeat.hpp"
#include "base/log.hpp"
#include "base/memory.hpp"
#include "base/stop.hpp"
#include "base/stopwatch.hpp"
#include "kernel/identity.hpp"
#include "kernel/preparation.hpp"
#include "kernel/self_check.hpp"
#include "kernel/task_loop.hpp"
#include "parallel/collectives.hpp"

namespace ntk::kernel {

using nlohmann::json;

namespace {

// Phases that read or write much without a sign of life in between.
constexpr double quiet_seconds = 1800;

// Collective. Ends the stage when any rank was asked to stop. `finished` is the first rank's.
void stop_where_asked(MPI_Comm comm, std::int64_t finished, std::int64_t units) {
  const auto reason = static_cast<stop::Reason>(
      parallel::all_max(comm, static_cast<int>(stop::requested())));
  if (reason == stop::Reason::none) return;
  stop::request(reason);
  parallel::broadcast(comm, &finished, sizeof finished);
  throw parallel::AgreedError(
      ExitCode::stopped, fmt::format("kernel: stopped ({}): {} of {} tiles are in the journal",
                                     stop::words(reason), finished, units));
}

}  // namespace

json run_kernel(MPI_Comm comm, const Job& job, const Resources& resources, const json& provenance,
                store::RunLock& lock, const std::function<void(const json&)>& tell) {
  int rank = 0;
  MPI_Comm_rank(comm, &rank);
  std::unique_ptr<const KernelInputs> inputs;
  const ComputeDevice device = choose_device(comm, job, resources);
  parallel::collectively(comm, [&] {
    inputs = std::make_unique<const KernelInputs>(read_kernel_inputs(job, device));
  });
  std::string weights;
  parallel::collectively(comm, [&] {
    if (rank == 0) weights = inputs->model.checkpoint->sha256();
    check_first(job, device, *inputs, rank);
  });
  parallel::broadcast(comm, weights);
  const json identity = kernel_identity(job, *inputs, device, weights);
  agree_on_identity(comm, identity, job.kernel.allow_other_hardware);
  const auto checked = check_samples(*inputs, job.run.seed);
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

  parallel::collectively(comm, [&] {
    if (rank == 0) lock.take(job.run.directory);
  });
  heartbeat::expect("opening the kernel file", quiet_seconds);
  const store::KernelSpec spec = make_spec(job, *inputs, identity, provenance);
  store::KernelWriter writer(comm, job.run.directory, spec);
  if (writer.state() == store::KernelWriter::State::complete) {
    log::info("kernel: {}/kernel.h5 is complete and of this job, nothing to do", job.run.directory);
    return {{"reused", true}};
  }
  if (writer.state() == store::KernelWriter::State::resumed) {
    log::info("kernel: going on with {}/kernel.h5.partial, {} tiles are there ({} damaged)",
              job.run.directory, writer.units_done(), writer.checked().damaged);
  }
  parallel::collectively(comm, [&] {
    if (rank == 0) {
      model::write_head(job.run.directory + "/head.safetensors", inputs->model.head,
                        inputs->model.config.hidden_size);
    }
  });

  const std::int64_t units = writer.units(), before = writer.units_done();
  std::int64_t finished = before;
  const auto count = [&](std::int64_t more) {
    finished = before + more;
    tell({{"units", units}, {"units_done", finished}});
  };
  if (rank == 0) count(0);
  stop_where_asked(comm, finished, units);
  json result = run_tasks(comm, job, resources, device, *inputs, writer, count);
  stop_where_asked(comm, finished, units);
  result["units"] = result["units_done"] = units;

  heartbeat::expect("finishing the kernel file", quiet_seconds);
  store::MeasuredError error;
  double check_seconds = 0, finish_seconds = 0;
  {
    Stopwatch watch(check_seconds);
    parallel::collectively(comm, [&] {
      if (rank == 0) {
        error = measure_error(checked, stored_entries(*inputs, writer, checked),
                              recompute(*inputs, checked, resources.threads, device.host),
                              device::facts(device.precision).roundoff);
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
    writer.finish(spec.mirror_planned, error, json::object());
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
