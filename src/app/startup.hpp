// What is true of the machine and the launch, found out and said before any work.
#pragma once

#include <mpi.h>

#include <nlohmann/json.hpp>

#include "base/job.hpp"
#include "kernel/kernel_stage.hpp"

namespace ntk::app {

// Tasks of the Slurm step this process belongs to when nothing tells of an MPI launch, else 0. Call
// before MPI_Init: a singleton start sets the launcher's variables itself.
int unlaunched_tasks();

// Error(usage) when a Slurm step of several tasks started this program without an MPI launch: every
// task would believe to be alone.
void check_launch(int tasks, int ranks);

// The same before MPI_Init, for Open MPI, which would end there with a message and a code of its
// own.
void check_before_mpi(int tasks);

// Collective. Threads of this rank: the job's number, or its share of its node's CPUs, never more
// than CPUs in the affinity mask. And its share of the node's memory.
kernel::Resources find_resources(MPI_Comm comm, const Job& job);

// CPUs that this process may use.
int available_cpus();

// The same of a job of `ranks` ranks a node, where a node has this one's CPUs, and `node_memory`
// bytes, 0 = as much as this one has left.
kernel::Resources plan_resources(const Job& job, int ranks, double node_memory);

// Collective. Prints ranks, hosts, CPUs, threads, libraries.
void print_start(MPI_Comm comm, const kernel::Resources& resources, const char* thread_level);

// Versions of the program and its libraries, for summaries and files.
nlohmann::json versions();

}  // namespace ntk::app
