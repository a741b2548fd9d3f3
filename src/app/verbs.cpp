#include "app/verbs.hpp"

#include "app/kept_job.hpp"
#include "app/startup.hpp"
#include "app/summary.hpp"
#include "app/theory_stage.hpp"
#include "base/log.hpp"
#include "base/stopwatch.hpp"
#include "base/text.hpp"
#include "device/cpu/blas_core.hpp"
#include "kernel/kernel_stage.hpp"
#include "parallel/collectives.hpp"
#include "spectrum/gpu.hpp"
#include "spectrum/stage.hpp"
#include "store/disk.hpp"

namespace ntk::app {
namespace {

using nlohmann::json;

class Runner {
 public:
  Runner(MPI_Comm comm, const Job& job, const kernel::Resources& resources, json& summary)
      : comm_(comm), job_(job), resources_(resources), summary_(summary) {
    MPI_Comm_rank(comm, &rank_);
    MPI_Comm_size(comm, &ranks_);
  }

  void kernel() {
    device::cpu::set_blas_threads(1);  // thread counts change bits
    json provenance = versions();
    provenance["job"] = to_toml(job_);
    stage(Stage::kernel, "kernel",
          [&] { return kernel::run_kernel(comm_, job_, resources_, provenance); });
  }
  void spectrum(bool projections) {
    parallel::collectively(comm_, [&] {
      if (rank_ == 0) require_kernel(path("kernel.h5"));
    });
    device::cpu::set_blas_threads(resources_.threads);
    stage(Stage::spectrum, "spectrum", [&] {
      return spectrum::run_spectrum(comm_, job_.spectrum, projections, path("kernel.h5"),
                                    path("spectrum.h5"));
    });
  }
  void theory() {
    spectrum(true);  // reuses a spectrum that has projections
    stage(Stage::theory, "theory", [&] {
      json result = json::object();
      parallel::collectively(comm_, [&] {
        if (rank_ == 0) result = run_theory(job_);
      });
      return result;
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

  template <class Work>
  void stage(Stage which, const char* name, Work work) {
    double seconds = 0;
    json result;
    {
      Stopwatch watch(seconds);
      result = work();
    }
    if (result.contains("timings") && result["timings"].contains(name)) {
      // The stage's own clock, without set-up, is the one that counts; both are given.
      summary_["timings"][name] = result["timings"][name];
    } else {
      summary_["timings"][name] = seconds;
    }
    summary_["timings"][std::string(name) + "_with_setup"] = seconds;
    if (!result.value("reused", false)) {
      result["made"] = {
          {"ended", time_stamp()}, {"ranks", ranks_}, {"threads", resources_.threads}};
    }
    summary_[name] = std::move(result);
    // Only now: before, the directory might have held another job's kernel.
    if (rank_ == 0) keep_job(job_, which);
  }

  MPI_Comm comm_;
  const Job& job_;
  const kernel::Resources& resources_;
  json& summary_;
  int rank_ = 0, ranks_ = 1;
};

}  // namespace

void run_stage(MPI_Comm comm, const Command& command, const char* thread_level) {
  int rank = 0, ranks = 1;
  MPI_Comm_rank(comm, &rank);
  MPI_Comm_size(comm, &ranks);
  Job job;
  parallel::collectively(comm, [&] { job = read_job(command.job_path, command.overrides); });
  const kernel::Resources resources = find_resources(comm, job);
  print_start(comm, resources, thread_level);
  if (job.run.max_hours > 0) log::warn("run.max_hours has no effect in this version");
  json summary = {{"started", time_stamp()},      {"versions", versions()},
                  {"job", to_toml(job)},          {"ranks", ranks},
                  {"threads", resources.threads}, {"timings", json::object()}};
  const auto close = [&](ExitCode code, const std::string& message) {
    if (rank == 0) write_summary(job.run.directory, summary, code, message);
  };
  try {
    Runner run(comm, job, resources, summary);
    switch (command.stage) {
      case Stage::kernel:
        run.kernel();
        break;
      case Stage::spectrum:
        run.spectrum(false);
        break;
      case Stage::theory:
        run.theory();
        break;
      case Stage::run:
        if (job.has_spectrum || job.has_theory) {
          // Known now, and not only when the kernel is there.
          parallel::collectively(
              comm, [&] { spectrum::require_one_rank_for_gpu(job.spectrum.device, ranks); });
        }
        run.kernel();
        if (job.has_theory) {
          run.theory();
        } else if (job.has_spectrum) {
          run.spectrum(false);
        }
    }
  } catch (const Error& error) {
    // Not after a usage error: it says nothing about what lies in the directory.
    if (error.code() != ExitCode::usage) close(error.code(), error.what());
    throw;
  } catch (const std::bad_alloc&) {
    close(ExitCode::resources, "out of memory");
    throw;
  } catch (const std::exception& error) {
    close(ExitCode::internal, error.what());
    throw;
  }
  close(ExitCode::complete, "");
}

}  // namespace ntk::app
