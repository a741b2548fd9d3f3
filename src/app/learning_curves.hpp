// Learning curves over ranks: points of theory::study_points are spread over them and kept in files
// of their own as soon as they are done, so that a stopped or killed run goes on.
#pragma once

#include <mpi.h>

#include <nlohmann/json.hpp>
#include <string>

#include "base/job.hpp"
#include "theory/summary.hpp"

namespace ntk::app {

// Where points are kept, as KERNEL.SIZE.DRAW.json; those of another mark are measured anew.
struct PointFolder {
  std::string path, mark;
};

// Collective; every rank brings the same inputs. The curves that job.theory asks for
// (theory::study_report), on the first rank; {"limit": why} where there are none and the job does
// not insist.
// Throws Error(usage) for sizes that do not fit, AgreedError(stopped) where a stop is asked for,
// with the points done kept.
nlohmann::json learning_curves(MPI_Comm comm, const Job& job, const std::string& kernel,
                               const theory::TheoryInputs& inputs, const PointFolder& folder);

}  // namespace ntk::app
