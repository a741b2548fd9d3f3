// How fast this machine is at what a kernel stage spends its time on: measured where a job is
// planned, or given.
#pragma once

#include <cstddef>

#include "kernel/compute_device.hpp"

namespace ntk::kernel {

struct Rates {
  double gemm = 0;          // operations a second of a rank, in the job's precision
  double check = 0;         // the same of the first rank's CPU in fp64
  double fresh_memory = 0;  // bytes a second that a rank first touches; 0 = takes no time
  double disk = 0;          // bytes a second that all ranks write together
};

// GEMM rate of a rank on `device`, with `ranks` of so many threads at work at a time, as on a node.
// On a GPU of one rank alone.
double measure_gemm(const ComputeDevice& device, int threads, int ranks);
// The same of the CPU in fp64, of one rank alone.
double measure_check_gemm(int threads);
// Bytes a second at which memory from the system is first written to.
double measure_fresh_memory();

}  // namespace ntk::kernel
