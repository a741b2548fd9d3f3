#include "kernel/kernel_stage.hpp"

#include <algorithm>

#include "base/heartbeat.hpp"
#include "base/log.hpp"
#include "base/memory.hpp"
#include "base/stop.hpp"
#include "base/stopwatch.hpp"
#include "kernel/merge.hpp"
#include "kernel/preparation.hpp"
#include "kernel/self_check.hpp"
#include "kernel/task_loop.hpp"
#include "parallel/collectives.hpp"
#include "store/disk.hpp"

namespace ntk::kernel {
namespace {

using nlohmann::json;
using store::FileState;

// Phases that read or write much without a sign of life in between.
constexpr double quiet_seconds = 1800;

// Collective. Ends the stage when any rank was asked to stop. `finished` is the first rank's.
void stop_where_asked(MPI_Comm comm, std::int64_t finished, std::int64_t units) {
  const stop::Reason reason = parallel::agree_on_stop(comm);
  if (reason == stop::Reason::none) return;
  parallel::broadcast(comm, &finished, sizeof finished);
  throw parallel::AgreedError(ExitCode::stopped,
                              fmt::format("kernel: stopped ({}): {} of {} tiles are in the journal",
                                          stop::words(reason), finished, units));
}

void describe(const KernelInputs& inputs) {
  const auto& first = inputs.panels.sets()[0];
  std::int64_t parameters = 0;
  for (const auto& p : inputs.model.architecture.parameters) {
    parameters += p.selected ? p.count() : 0;
  }
  log::info("kernel: {} samples x {} rows, {} tokens, {} parameters of {}, groups: {}",
            first.samples(), inputs.outputs.rows_per_sample, first.tokens.tokens.size(), parameters,
            inputs.model.config.model_type,
            inputs.groups.names.empty() ? "none"
                                        : fmt::format("{}", fmt::join(inputs.groups.names, ", ")));
}

FileState find_state(MPI_Comm comm, const SettledJob& settled, const store::FileRequest& file) {
  int found = 0;
  parallel::on_first(comm, [&] {
    found = static_cast<int>(store::find_state(settled.job.run.directory, settled.spec, file));
  });
  parallel::broadcast(comm, &found, sizeof found);
  return static_cast<FileState>(found);
}

// "FILE, 120 tiles, 0.31 GiB in 0.2 s (1.6 GiB/s)"
std::string in_numbers(const store::Checked& c) {
  return fmt::format("{}, {} tiles, {:.2f} GiB in {:.1f} s ({:.2f} GiB/s)", c.path, c.entries,
                     c.bytes / gib, c.seconds, c.bytes / gib / std::max(c.seconds, 1e-3));
}

void tell_opened(const store::KernelWriter& writer, const SettledJob& settled,
                 const store::FileRequest& file) {
  if (writer.state() == FileState::resumed) {
    log::info("kernel: going on with {}/{}.partial, {} tiles are there ({} damaged)",
              settled.job.run.directory, file.name, writer.units_done(), writer.checked().damaged);
    log::info("kernel: verified {}", in_numbers(writer.checked()));
  }
  for (const auto& taken : writer.taken()) {
    log::info("kernel: taken from {}; {} of them damaged", in_numbers(taken), taken.damaged);
  }
}

// Collective. The self-check and the last steps of the file.
void complete(MPI_Comm comm, const SettledJob& settled, const Resources& resources,
              store::KernelWriter& writer, json& result) {
  heartbeat::expect("finishing the kernel file", quiet_seconds);
  const KernelInputs& inputs = *settled.inputs;
  store::MeasuredError error;
  double check_seconds = 0, finish_seconds = 0;
  const auto checked = check_samples(inputs, settled.job.run.seed);
  {
    Stopwatch watch(check_seconds);
    parallel::on_first(comm, [&] {
      error = measure_error(checked, stored_entries(inputs, writer, checked),
                            recompute(inputs, checked, resources.threads, settled.device.host),
                            device::facts(settled.device.precision).roundoff);
    });
  }
  const double peak = static_cast<double>(parallel::all_max(
                          comm, static_cast<std::int64_t>(peak_resident_memory()))) /
                      gib;
  parallel::broadcast(comm, &error.delta, sizeof error.delta);
  parallel::broadcast(comm, &error.rms, sizeof error.rms);
  parallel::broadcast(comm, &error.largest, sizeof error.largest);
  error.samples = checked;
  {
    Stopwatch watch(finish_seconds);
    writer.finish(settled.spec.mirror_planned, error, json::object());
  }
  log::info(
      "kernel: measured error of an entry {:.2e} (rms), {:.1e} of the entries' rms; peak memory "
      "{:.2f} GiB a rank; written to {}/kernel.h5",
      error.delta, error.delta / error.rms, peak, settled.job.run.directory);
  result["peak_memory_gib"] = peak;
  result["timings"]["self_check"] = check_seconds;
  result["timings"]["finish"] = finish_seconds;
  result["error"] = {{"delta", error.delta}, {"rms", error.rms}, {"largest", error.largest}};
}

// Collective. Whether a complete file is sound, as far as it is there: a share's need not be when
// the kernel is complete.
bool verify(MPI_Comm comm, const SettledJob& settled, const store::FileRequest& file) {
  const std::string path = settled.job.run.directory + "/" + file.name;
  int there = store::file_exists(path) ? 1 : 0;
  parallel::broadcast(comm, &there, sizeof there);
  if (there == 0) return true;
  heartbeat::expect("verifying the kernel file", quiet_seconds);
  const store::Checked checked =
      store::check_complete(comm, settled.job.run.directory, settled.spec, file);
  log::info("kernel: verified {}; {} damaged", in_numbers(checked), checked.damaged);
  return checked.damaged == 0;
}

store::FileRequest file_request(const KernelRequest& request, const SettledJob& settled) {
  store::FileRequest file;
  if (!request.share) return file;
  const auto [k, of] = *request.share;
  const KernelInputs& inputs = *settled.inputs;
  const Operations operations(inputs.model.architecture, inputs.model.config, inputs.settings,
                              inputs.panels);
  file.name = request.share->file();
  file.units = divide(inputs.panels, operations, settled.job.kernel.ranges,
                      of)[static_cast<std::size_t>(k - 1)];
  for (const char* ending : {"", ".partial"}) {
    const std::string kernel = settled.job.run.directory + "/" + store::kernel_name + ending;
    if (store::file_exists(kernel)) file.sources.push_back(kernel);
  }
  return file;
}

}  // namespace

json run_kernel(MPI_Comm comm, const Job& job, const Resources& resources, const json& provenance,
                const KernelRequest& request, store::RunLock& lock,
                const std::function<void(const json&)>& tell) {
  int rank = 0;
  MPI_Comm_rank(comm, &rank);
  const std::string& directory = job.run.directory;
  std::vector<std::string> recorded{directory + "/" + store::kernel_name};
  if (request.merge) {
    for (const auto& files : share_files(directory)) {
      recorded.insert(recorded.end(), files.paths.begin(), files.paths.end());
    }
  }
  json origin = provenance;
  if (request.share) origin["share"] = fmt::format("{}/{}", request.share->k, request.share->of);
  SettledJob settled = settle(comm, job, resources, origin, recorded, request.fit);
  store::FileRequest file = file_request(request, settled);
  const auto check = [&](FileState found) {
    if (request.merge) {  // it computes no tile, but checks some entries
      return parallel::on_first(comm, [&] {
        if (found != FileState::complete)
          check_memory_of_check(settled.job, settled.device, *settled.inputs);
      });
    }
    if (found != FileState::complete)
      settle_on_device(comm, settled, resources, origin, request.fit);
    parallel::collectively(
        comm, [&] { check_first(settled.job, settled.device, *settled.inputs, rank, found); });
  };
  FileState found = find_state(comm, settled, file);
  check(found);
  describe(*settled.inputs);
  parallel::on_first(comm, [&] { lock.take(directory, request.share ? file.name : ""); });
  if (request.verify && found == FileState::complete && !verify(comm, settled, file)) {
    file.repair = true;
    found = find_state(comm, settled, file);
    check(found);
  }
  std::optional<HeldShares> shares;
  if (request.merge) {
    parallel::on_first(comm, [&] {
      shares.emplace(directory);
      file.sources = shares->paths();
      require(found == FileState::complete || !file.sources.empty(), ExitCode::usage,
              "{} has no shares to unite (files share-K-of-N.h5 that no job is writing) make them "
              "with `ntk kernel --share K/N`",
              directory);
    });
  }
  const auto remove_shares = [&] {
    if (!request.merge) return;
    parallel::on_first(comm, [&] {
      if (request.remove_shares) return shares->remove(settled.spec);
      log::info("kernel: the shares' files are no longer needed; --remove-shares removes them");
    });
  };

  heartbeat::expect("opening the kernel file", quiet_seconds);
  store::KernelWriter writer(comm, directory, settled.spec, file);
  if (writer.state() == FileState::complete) {
    log::info("kernel: {}/{} is complete and of this job, nothing to do", directory,
              request.share && !store::file_exists(directory + "/" + file.name) ? store::kernel_name
                                                                                : file.name);
    remove_shares();
    return {{"reused", true}};
  }
  tell_opened(writer, settled, file);
  // A fitted head is kept at once: the other shares, and the merge, take it as it is.
  if (!request.share || settled.inputs->probe) {
    parallel::on_first(comm, [&] {
      model::write_head(directory + "/head.safetensors", settled.inputs->model.head,
                        settled.inputs->model.config.hidden_size);
    });
  }

  const std::int64_t units = writer.units(), before = writer.units_done();
  std::int64_t finished = before;
  const auto count = [&](std::int64_t more) {
    finished = before + more;
    tell({{"units", units}, {"units_done", finished}});
  };
  if (rank == 0) count(0);
  json result;
  if (request.merge) {
    if (before < units) {
      throw parallel::AgreedError(
          ExitCode::stopped,
          fmt::format("kernel: {} of {} tiles are missing in the shares ({}) run these shares "
                      "(with --verify where tiles were damaged), or `ntk kernel`, which computes "
                      "the rest",
                      units - before, units,
                      missing_shares(directory, *settled.inputs, job.kernel.ranges, writer)));
    }
  } else {
    stop_where_asked(comm, finished, units);
    result =
        run_tasks(comm, settled.job, resources, settled.device, *settled.inputs, writer, count);
    stop_where_asked(comm, finished, units);
  }
  result["units"] = result["units_done"] = units;
  if (const json head = head_summary(*settled.inputs); !head.is_null()) result["head"] = head;
  if (request.share) {
    writer.finish_share();
    log::info("kernel: {} is complete: {}/{}; `ntk merge` unites the shares", request.share->name(),
              directory, file.name);
    return result;
  }
  complete(comm, settled, resources, writer, result);
  remove_shares();
  return result;
}

}  // namespace ntk::kernel
