// `ntk plan`: what a job would compute, hold, write and take, before it is submitted.
#pragma once

#include <mpi.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace ntk::app {

struct PlanRequest {
  std::string job_path;
  std::vector<std::string> overrides;
  int ranks = 1, nodes = 1;
  std::string device;        // cpu | cuda; empty = as the job says, on this machine
  double device_memory = 0;  // GiB of a GPU
  double node_memory = 0;    // GiB of a node; 0 = what this one has left
  double rate_gflops = 0;    // GEMM rate of a rank; 0 = measured here
  double disk_gbs = 0.5;     // GB a second that all ranks write together
  bool sweep = false;        // also a table over numbers of ranks
  bool json = false;         // the object alone, on standard output
};

// Plans the job and prints the result. Throws what a run of the job would throw before it begins to
// compute, but for weights, which are not read.
void run_plan(MPI_Comm self, const PlanRequest& request);

// The result as lines for people.
std::vector<std::string> plan_table(const nlohmann::json& plan);

}  // namespace ntk::app
