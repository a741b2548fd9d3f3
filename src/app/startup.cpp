#include "app/startup.hpp"

#include <fmt/ranges.h>
#include <hdf5.h>
#include <petscversion.h>
#include <sched.h>
#include <slepcversion.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <map>

#include "app/version.hpp"
#include "base/error.hpp"
#include "base/log.hpp"
#include "base/memory.hpp"
#include "device/cpu/blas_core.hpp"
#include "device/cuda.hpp"
#include "parallel/collectives.hpp"
#include "parallel/mpi.hpp"

namespace ntk::app {
namespace {

std::vector<int> affinity() {
  cpu_set_t set;
  CPU_ZERO(&set);
  std::vector<int> cpus;
  if (sched_getaffinity(0, sizeof set, &set) != 0) return {0};
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (CPU_ISSET(cpu, &set)) cpus.push_back(cpu);
  }
  return cpus;
}

// Of what a node has left; the rest is for page caches and for what is not counted.
constexpr double memory_share = 0.8;

std::string host() {
  char name[256] = {};
  gethostname(name, sizeof name - 1);
  return name;
}

}  // namespace

int unlaunched_tasks() {
  const char* tasks = std::getenv("SLURM_STEP_NUM_TASKS");
  for (const char* set : {"OMPI_COMM_WORLD_SIZE", "PMIX_RANK", "PMIX_NAMESPACE"}) {
    if (std::getenv(set) != nullptr) return 0;
  }
  return tasks == nullptr ? 0 : std::atoi(tasks);
}

void check_before_mpi(int tasks) {
  for (const char* set :
       {"PMI_FD", "PMI_RANK"}) {  // some builds of Open MPI 4 can start from these
    if (std::getenv(set) != nullptr) return;
  }
  if (parallel::mpi_library().starts_with("Open MPI")) check_launch(tasks, 1);
}

void check_launch(int tasks, int ranks) {
  require(tasks <= 1 || ranks > 1, ExitCode::usage,
          "this Slurm step has {} tasks and each of them believes to be alone (srun started the "
          "program without PMIx) use `srun --mpi=pmix`, or mpirun inside the job",
          tasks);
}

kernel::Resources find_resources(MPI_Comm comm, const Job& job) {
  const auto cpus = affinity();
  const auto place = parallel::node_place(comm);
  // Ranks of one node that share a mask share its CPUs.
  const auto mine = fmt::format("{} {}", place.node, fmt::join(cpus, ","));
  const auto masks = parallel::all_gather(comm, mine);
  const auto sharing = static_cast<int>(std::count(masks.begin(), masks.end(), mine));
  const int available = static_cast<int>(cpus.size());
  kernel::Resources r;
  r.threads = std::max(1, available / std::max(1, sharing));
  if (job.run.threads > 0) {
    r.threads = std::min(job.run.threads, available);
    if (job.run.threads > available) {
      log::warn(
          "run.threads = {} and a rank has {} CPUs (its affinity mask): {} threads are used; "
          "with mpirun, --bind-to none or --map-by slot:PE={} gives it more",
          job.run.threads, available, r.threads, job.run.threads);
    }
  }
  r.memory = static_cast<std::size_t>(memory_share * static_cast<double>(available_memory()) /
                                      place.ranks);
  return r;
}

int available_cpus() {
  return static_cast<int>(affinity().size());
}

kernel::Resources plan_resources(const Job& job, int ranks, double node_memory) {
  kernel::Resources r;
  r.threads = job.run.threads > 0 ? job.run.threads : std::max(1, available_cpus() / ranks);
  const double node = node_memory > 0 ? node_memory : static_cast<double>(available_memory());
  r.memory = static_cast<std::size_t>(memory_share * node / ranks);
  return r;
}

void print_start(MPI_Comm comm, const kernel::Resources& resources, const char* thread_level) {
  const auto cpus = affinity();
  const auto hosts =
      parallel::gather(comm, fmt::format("{} (CPUs {})", host(), fmt::join(cpus, ",")));
  std::map<std::string, int> ranks_of;
  for (const auto& name : hosts) ++ranks_of[name];
  int ranks = 1;
  MPI_Comm_size(comm, &ranks);
  const nlohmann::json v = versions();
  log::info("ntkspectra {} ({}): {} ranks x {} threads, MPI threads {}", version, git_state, ranks,
            resources.threads, thread_level);
  for (const auto& [name, count] : ranks_of) log::info("  {} ranks on {}", count, name);
  log::info("  BLAS {}, core {}; HDF5 {}, PETSc {}, SLEPc {}; device backends built: cpu{}",
            v["blas"].get<std::string>(), v["blas_core"].get<std::string>(),
            v["hdf5"].get<std::string>(), v["petsc"].get<std::string>(),
            v["slepc"].get<std::string>(), device::cuda_built() ? ", cuda" : "");
}

nlohmann::json versions() {
  unsigned major = 0, minor = 0, release = 0;
  H5get_libversion(&major, &minor, &release);
  const std::string library = parallel::mpi_library();
  return {{"ntkspectra", version},
          {"git", git_state},
          {"compiler", compiler},
          {"mpi", library.substr(0, library.find(','))},
          {"blas", device::cpu::blas_name()},
          {"blas_core", device::cpu::blas_core()},
          {"cuda", device::cuda_versions()},
          {"hdf5", fmt::format("{}.{}.{}", major, minor, release)},
          {"petsc", fmt::format("{}.{}.{}", PETSC_VERSION_MAJOR, PETSC_VERSION_MINOR,
                                PETSC_VERSION_SUBMINOR)},
          {"slepc", fmt::format("{}.{}.{}", SLEPC_VERSION_MAJOR, SLEPC_VERSION_MINOR,
                                SLEPC_VERSION_SUBMINOR)}};
}

}  // namespace ntk::app
