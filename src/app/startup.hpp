// What is true of the machine and the launch, found out and said before any work.
#pragma once

#include <mpi.h>

#include <nlohmann/json.hpp>

#include "base/job.hpp"
#include "kernel/kernel_stage.hpp"

namespace ntk::app {

// Error(usage) when a Slurm step of several tasks started this program without an MPI launch: every
// task would believe to be alone. Local; call before any collective.
void check_launch(int ranks);

// Collective. Threads and memory of this rank: the job's numbers, or its share of what the ranks of
// its node have. Never more threads than CPUs in the affinity mask.
kernel::Resources find_resources(MPI_Comm comm, const Job& job);

// Collective. Prints ranks, hosts, CPUs, threads, libraries.
void print_start(MPI_Comm comm, const kernel::Resources& resources, const char* thread_level);

// Versions of the program and its libraries, for summaries and files.
nlohmann::json versions();

}  // namespace ntk::app
