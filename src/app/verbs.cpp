#include "app/verbs.hpp"

#include <unistd.h>

#include <algorithm>

#include "app/deadline.hpp"
#include "app/kept_job.hpp"
#include "app/labels.hpp"
#include "app/probe_head.hpp"
#include "app/record.hpp"
#include "app/startup.hpp"
#include "app/status.hpp"
#include "app/theory_stage.hpp"
#include "base/heartbeat.hpp"
#include "base/log.hpp"
#include "base/stop.hpp"
#include "base/stopwatch.hpp"
#include "base/text.hpp"
#include "device/cpu/blas_core.hpp"
#include "kernel/kernel_stage.hpp"
#include "parallel/collectives.hpp"
#include "parallel/watcher.hpp"
#include "spectrum/gpu.hpp"
#include "spectrum/stage.hpp"
#include "store/disk.hpp"
#include "store/kernel_file.hpp"
#include "store/run_lock.hpp"

namespace ntk::app {
namespace {

using nlohmann::json;

// Phases of solvers, which show no progress, end in a watchdog's error only after this time at
// least, or ten times what they would take at a rate that any machine has.
constexpr double solver_seconds = 1800;
constexpr double slow_rate = 2e9;  // operations a second and rank

double longest_solve(std::int64_t order, bool vectors, int ranks) {
  const auto n = static_cast<double>(order);
  const double operations = n * n * n * (vectors ? 9.0 : 4.0 / 3.0);
  return std::max(solver_seconds, 10 * operations / (slow_rate * ranks));
}

class Runner {
 public:
  Runner(MPI_Comm comm, const Job& job, const kernel::KernelRequest& request,
         const kernel::Resources& resources, Record& record)
      : comm_(comm), job_(job), request_(request), resources_(resources), record_(record) {
    MPI_Comm_rank(comm, &rank_);
    MPI_Comm_size(comm, &ranks_);
  }

  void kernel() {
    device::cpu::set_blas_threads(1);  // thread counts change bits
    json provenance = versions();
    provenance["job"] = to_toml(job_);
    stage(Stage::kernel, "kernel", [&] {
      return kernel::run_kernel(comm_, job_, resources_, provenance, request_, lock_,
                                [&](const json& told) { record_.add_unfinished("kernel", told); });
    });
  }
  // With `projections` also those that theory wants of other labels than the kernel's.
  void spectrum(bool projections) {
    std::int64_t order = 0;
    parallel::collectively(comm_, [&] {
      if (rank_ != 0) return;
      require_kernel(path("kernel.h5"));
      lock_.take(job_.run.directory);
      order = store::KernelReader(path("kernel.h5")).order();
    });
    std::optional<spectrum::GivenLabels> given;
    if (projections && !job_.theory.targets.empty()) {
      parallel::collectively(comm_, [&] {
        given = labels_in_force(job_, store::KernelReader(path("kernel.h5"))).given();
      });
    }
    device::cpu::set_blas_threads(resources_.threads);
    parallel::broadcast(comm_, &order, sizeof order);
    const bool vectors = projections || job_.spectrum.vectors != 0;
    stage(Stage::spectrum, "spectrum", [&] {
      heartbeat::expect("spectrum", longest_solve(order, vectors, ranks_));
      return spectrum::run_spectrum(comm_, job_.spectrum, projections, path("kernel.h5"),
                                    path("spectrum.h5"), given ? &*given : nullptr);
    });
  }
  void theory() {
    spectrum(true);  // reuses a spectrum that has projections
    stage(Stage::theory, "theory", [&] {
      heartbeat::expect("theory", solver_seconds);
      return run_theory(comm_, job_);
    });
  }

 private:
  std::string path(const char* name) const { return job_.run.directory + "/" + name; }

  static void require_kernel(const std::string& file) {
    const bool begun = store::file_exists(file + ".partial");
    require(store::file_exists(file), ExitCode::io, "{} is missing ({}) run `ntk kernel` first",
            file,
            begun ? "the kernel is begun, but not complete" : "spectrum and theory start from it");
  }

  // Between stages nothing is lost.
  void stop_where_asked(const char* next) const {
    const stop::Reason reason = parallel::agree_on_stop(comm_);
    if (reason == stop::Reason::none) return;
    throw parallel::AgreedError(ExitCode::stopped,
                                fmt::format("stopped ({}) before: {}", stop::words(reason), next));
  }

  template <class Work>
  void stage(Stage which, const char* name, Work work) {
    stop_where_asked(name);
    double seconds = 0;
    json result;
    {
      Stopwatch watch(seconds);
      result = work();
    }
    if (!result.value("reused", false)) {
      result["made"] = {
          {"ended", time_stamp()}, {"ranks", ranks_}, {"threads", resources_.threads}};
    }
    record_.add_stage(name, std::move(result), seconds);
    // Only now: before, the directory might have held another job's kernel. Not by each of many
    // shares at a time.
    if (rank_ == 0 && !request_.share) keep_job(job_, which);
  }

  MPI_Comm comm_;
  const Job& job_;
  const kernel::KernelRequest& request_;
  const kernel::Resources& resources_;
  Record& record_;
  store::RunLock lock_;
  int rank_ = 0, ranks_ = 1;
};

void run_all(MPI_Comm comm, Stage which, const Job& job, Runner& run, int ranks) {
  switch (which) {
    case Stage::kernel:
      return run.kernel();
    case Stage::spectrum:
      return run.spectrum(false);
    case Stage::theory:
      return run.theory();
    case Stage::run:
      break;
  }
  if (job.has_spectrum || job.has_theory) {
    // Known now, and not only when the kernel is there.
    parallel::collectively(comm,
                           [&] { spectrum::require_one_rank_for_gpu(job.spectrum.device, ranks); });
    if (job.has_theory && !job.theory.targets.empty()) {
      parallel::collectively(comm,
                             [&] { data::read_data(job.theory.targets, data::Tokens::optional); });
    }
  }
  run.kernel();
  if (job.has_theory) {
    run.theory();
  } else if (job.has_spectrum) {
    run.spectrum(false);
  }
}

}  // namespace

void run_stage(MPI_Comm comm, const Command& command, const char* thread_level) {
  int rank = 0, ranks = 1;
  MPI_Comm_rank(comm, &rank);
  MPI_Comm_size(comm, &ranks);
  Job job;
  parallel::collectively(comm, [&] { job = read_job(command.job_path, command.overrides); });
  kernel::Resources resources = find_resources(comm, job);
  print_start(comm, resources, thread_level);
  const std::string summary =
      command.kernel.share ? command.kernel.share->summary_file() : std::string("summary.json");
  Record record(job, rank, summary,
                {{"started", time_stamp()},
                 {"versions", versions()},
                 {"ranks", ranks},
                 {"threads", resources.threads}});
  // A STOP file is obeyed once; by shares, of which several may run, until somebody removes it.
  const auto close = [&](ExitCode code, const std::string& message, bool alone) {
    record.close(code, message, alone);
    if (stop::requested() == stop::Reason::file && rank == 0 && !command.kernel.share) {
      ::unlink((job.run.directory + "/STOP").c_str());
    }
  };
  heartbeat::set_limit(60 * job.run.watchdog_minutes);
  const auto limits = rank == 0 ? find_limits(job) : parallel::Watcher::Limits{};
  resources.seconds = limits.seconds;
  parallel::broadcast(comm, &resources.seconds, sizeof resources.seconds);
  const parallel::Watcher watcher(comm, limits, [&](ExitCode code, const std::string& message) {
    close(code, message, true);
    say_end(code, message, true);
  });
  try {
    kernel::KernelRequest request = command.kernel;
    request.fit = probe_fit(resources.threads);
    Runner run(comm, job, request, resources, record);
    run_all(comm, command.stage, job, run, ranks);
  } catch (const parallel::AgreedError& error) {
    close(error.code(), error.what(), false);
    throw;
  } catch (const Error& error) {
    close(error.code(), error.what(), true);
    throw;
  } catch (const std::bad_alloc&) {
    close(ExitCode::resources, "out of memory", true);
    throw;
  } catch (const std::exception& error) {
    close(ExitCode::internal, error.what(), true);
    throw;
  }
  close(ExitCode::complete, "", false);
}

}  // namespace ntk::app
