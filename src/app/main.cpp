// ntk: command line, and the one place where exceptions become exit codes.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <optional>

#include "app/inspect.hpp"
#include "app/plan_verb.hpp"
#include "app/startup.hpp"
#include "app/status.hpp"
#include "app/verbs.hpp"
#include "app/version.hpp"
#include "base/log.hpp"
#include "base/stop.hpp"
#include "device/cpu/blas_core.hpp"
#include "parallel/collectives.hpp"
#include "parallel/mpi.hpp"
#include "store/hdf5.hpp"

namespace {

using namespace ntk;
using app::say_status;

// Verbs that need no MPI, and what they are given.
struct Local {
  CLI::App *inspect = nullptr, *job = nullptr, *version = nullptr;
  std::string file;                    // inspect, job
  std::vector<std::string> overrides;  // job
  std::string get;                     // inspect, job: one value
  bool defaults = false;               // job

  explicit Local(CLI::App& cli) {
    inspect = cli.add_subcommand("inspect", "describe any of our files");
    inspect->add_option("file", file, "a data, kernel, spectrum, JSON or safetensors file")
        ->required();
    inspect->add_option("--get", get, "print one value of a JSON file: NAME.NAME...");
    job = cli.add_subcommand("job", "job files: the job with every key written out");
    job->add_option("job", file, "job file");
    job->add_option("--set", overrides, "section.key=value, on top of the job file");
    job->add_option("--get", get, "print one value: section.key");
    job->add_flag("--defaults", defaults, "print a full job file with every default");
    version = cli.add_subcommand("version", "versions of the program and its libraries");
  }

  // Returns false when the command line names none of them.
  bool run() const {
    if (version->parsed()) {
      const nlohmann::json all = app::versions();
      for (const auto& [name, text] : all.items()) {
        log::plain("{}: {}", name, text.get<std::string>());
      }
      return true;
    }
    if (job->parsed()) {
      require(defaults == file.empty(), ExitCode::usage,
              "`ntk job` wants a job file or --defaults ({}) write one of them",
              defaults ? "there are both" : "there is neither");
      if (defaults) {
        log::plain("{}", default_job_text());
        return true;
      }
      const Job read = read_job(file, overrides);
      log::plain("{}", get.empty() ? to_toml(read) : job_value(read, get));
      return true;
    }
    if (inspect->parsed()) {
      if (get.empty()) {
        app::inspect(file);
      } else {
        log::plain("{}", app::json_value(file, get));
      }
      return true;
    }
    return false;
  }
};

// Whether this is the process that speaks for a job, as far as its launcher says.
bool is_first_process() {
  for (const char* rank : {"OMPI_COMM_WORLD_RANK", "PMIX_RANK", "SLURM_PROCID"}) {
    if (const char* number = std::getenv(rank)) return std::atoi(number) == 0;
  }
  return true;
}

// An end without MPI_Finalize, for all ranks.
[[noreturn]] void end_at_once(int ranks, ExitCode code) {
  if (ranks > 1) MPI_Abort(MPI_COMM_WORLD, static_cast<int>(code));
  std::_Exit(static_cast<int>(code));
}

// `ntk plan`.
struct Plan {
  CLI::App* verb;
  app::PlanRequest request;

  explicit Plan(CLI::App& cli)
      : verb(cli.add_subcommand("plan", "what a job would take, before it is submitted")) {
    auto& r = request;
    verb->add_option("job", r.job_path, "job file (TOML; see `ntk job --defaults`)")->required();
    verb->add_option("--set", r.overrides, "section.key=value, on top of the job file");
    verb->add_option("--ranks", r.ranks, "ranks of the job (1)");
    verb->add_option("--nodes", r.nodes, "nodes they are on (1)");
    verb->add_option("--device", r.device, "cpu or cuda, which need not be here (the job's, here)");
    verb->add_option("--device-memory", r.device_memory, "GiB of a GPU, one a rank");
    verb->add_option("--node-memory", r.node_memory, "GiB of a node (what this one has left)");
    verb->add_option("--rate-gflops", r.rate_gflops,
                     "GEMM rate of a rank in the job's precision (measured here)");
    verb->add_option("--disk-gbs", r.disk_gbs, "GB a second that all ranks write together (0.5)");
    verb->add_flag("--sweep", r.sweep, "also a table over numbers of ranks");
    verb->add_flag("--json", r.json, "print the result as a JSON object, and nothing else");
  }
  bool parsed() const { return verb->parsed(); }
  void run(int ranks) const {
    if (ranks > 1) {
      throw parallel::AgreedError(
          ExitCode::usage,
          fmt::format("`ntk plan` on {} ranks (it plans alone, for any number) start it without "
                      "mpirun, with --ranks",
                      ranks));
    }
    app::run_plan(MPI_COMM_WORLD, request);
  }
};

// `work(ranks, MPI thread level)` between the beginning and the end of MPI. What is `stoppable`
// looks at requests to stop, already while MPI starts.
template <class Work>
int run_parallel(int argc, char** argv, const std::string& slow, bool stoppable, bool quiet_end,
                 Work work) {
  std::optional<stop::ScopedSignals> signals;
  if (stoppable) signals.emplace();
  const int tasks = app::unlaunched_tasks();
  app::check_before_mpi(tasks);
  parallel::ScopedMpi mpi(&argc, &argv);
  int rank = 0, ranks = 1;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &ranks);
  log::start(rank, ranks);
  stop::ScopedSignals::speak(rank == 0);
  if (!slow.empty()) log::warn("{}", slow);
  ExitCode code = ExitCode::internal;
  std::string text;
  try {
    app::check_launch(tasks, ranks);
    work(ranks, mpi.level_name());
    if (rank == 0 && !quiet_end) say_status(ExitCode::complete);
    return 0;
  } catch (const parallel::AgreedError& error) {  // every rank is here: wind down in order
    if (rank == 0) app::say_end(error.code(), error.what(), false);
    if (parallel::all_max(MPI_COMM_WORLD, int{store::h5::close_failed()}) > 0)
      end_at_once(ranks, error.code());
    return static_cast<int>(error.code());
  } catch (const Error& error) {
    code = error.code();
    text = error.what();
  } catch (const std::bad_alloc&) {
    code = ExitCode::resources;
    text = "out of memory (an allocation failed) use fewer ranks a node or more nodes";
  } catch (const std::exception& error) {
    text = error.what();
  }
  app::say_end(code, text, true);
  // The others may wait for this rank: all go down.
  if (ranks > 1 || store::h5::close_failed()) end_at_once(ranks, code);
  return static_cast<int>(code);
}

}  // namespace

int main(int argc, char** argv) {
  const std::string slow = device::cpu::cure_slow_blas(argv);
  CLI::App cli(
      "The empirical neural tangent kernel of fine-tuned Transformers, its spectrum, and "
      "what it predicts.\nStarted alone a verb runs on one rank; under mpirun or srun on "
      "many.");
  cli.name("ntk");
  cli.require_subcommand(1);
  app::Command command;
  const auto stage = [&](const char* name, const char* help, app::Stage which) {
    CLI::App* sub = cli.add_subcommand(name, help);
    sub->add_option("job", command.job_path, "job file (TOML; see `ntk job --defaults`)")
        ->required();
    sub->add_option("--set", command.overrides, "section.key=value, on top of the job file");
    sub->callback([&command, which] { command.stage = which; });
    return sub;
  };
  stage("run", "all that the job file asks for", app::Stage::run);
  CLI::App* kernel_verb = stage("kernel", "the kernel alone: kernel.h5", app::Stage::kernel);
  kernel_verb->add_flag("--verify", command.kernel.verify,
                        "check all that is there, and make anew what is damaged");
  std::string share;
  kernel_verb->add_option("--share", share, "K/N: the K-th of N parts alone, into share-K-of-N.h5");
  CLI::App* merge = stage("merge", "unite the shares of a kernel: kernel.h5", app::Stage::kernel);
  merge->add_flag("--remove-shares", command.kernel.remove_shares,
                  "remove their files when the kernel is complete");
  stage("spectrum", "the spectrum of a kernel: spectrum.h5", app::Stage::spectrum);
  CLI::App* theory = stage("theory", "what the spectrum predicts: theory.json", app::Stage::theory);
  std::string targets;
  theory->add_option("--targets", targets,
                     "a data file whose labels are used instead of the kernel's (theory.targets)");
  Local local(cli);
  Plan plan(cli);
  try {
    cli.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (!is_first_process())
      return error.get_exit_code() == 0 ? 0 : static_cast<int>(ExitCode::usage);
    return cli.exit(error) == 0 ? 0 : say_status(ExitCode::usage);
  }
  try {
    if (local.run()) return 0;
    if (kernel_verb->count("--share") > 0) command.kernel.share = kernel::parse_share(share);
    command.kernel.merge = merge->parsed();
    if (theory->count("--targets") > 0) {
      // A JSON text is a TOML one.
      command.overrides.push_back("theory.targets=" + nlohmann::json(targets).dump());
    }
    if (plan.parsed()) {
      return run_parallel(argc, argv, slow, false, plan.request.json,
                          [&](int ranks, const char*) { plan.run(ranks); });
    }
    return run_parallel(argc, argv, slow, true, false, [&](int, const char* level) {
      app::run_stage(MPI_COMM_WORLD, command, level);
    });
  } catch (const Error& error) {
    if (!is_first_process()) return static_cast<int>(error.code());
    log::rank_error("{}", error.what());
    return say_status(error.code());
  } catch (const std::exception& error) {
    log::rank_error("{}", error.what());
    return say_status(ExitCode::internal);
  }
}
