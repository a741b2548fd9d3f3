// The verbs of the command line: they compose the stages.
#pragma once

#include <mpi.h>

#include <string>
#include <vector>

#include "kernel/kernel_stage.hpp"

namespace ntk::app {

enum class Stage { kernel, spectrum, theory, run };

struct Command {
  Stage stage = Stage::run;
  std::string job_path;
  std::vector<std::string> overrides;
  kernel::KernelRequest kernel;  // of `ntk kernel` and `ntk merge`
};

// Collective. Runs a stage, or with `run` all that the job asks for; writes summary.json in the run
// directory, also when it fails. Throws what the stages throw.
void run_stage(MPI_Comm comm, const Command& command, const char* thread_level);

}  // namespace ntk::app
