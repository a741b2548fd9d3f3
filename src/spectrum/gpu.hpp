// The solve on one GPU, for a job of one rank: whether it is used, and the solve.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "base/job.hpp"
#include "spectrum/solvers.hpp"

namespace ntk::spectrum {

// spectrum.device = "auto" leaves smaller matrices to the CPU: a GPU's set-up and the copies cost
// about as much as the whole solve there.
inline constexpr std::int64_t auto_gpu_order = 2000;

// What a spectrum asks of the machine.
struct SolveRequest {
  std::string device = "auto";  // spectrum.device
  int ranks = 1;
  std::int64_t order = 0;
  bool full = true;  // all eigenvalues, not the leading ones
  bool vectors = false;
};

// A GPU as it is found for a request.
struct GpuOffer {
  std::string problem;          // why there is none; the rest then says nothing
  int index = 0;                // of the GPU
  std::string name;             // as results record it
  double needed = 0, free = 0;  // bytes there
  double host_bytes = 0;        // of workspace on the host
};
GpuOffer look_for_gpu(const SolveRequest& request);

// Where a spectrum is solved.
struct Placement {
  bool gpu = false;
  int index = 0;
  std::string device = "cpu";  // as results record it
  double host_bytes = 0;       // beside what the same work takes with the matrix on the host
  std::string passed_over;     // why "auto" does not use a GPU that is there
};

// Throws Error(usage) for spectrum.device = "cuda" with several ranks. For the beginning of a job,
// when the order is not known.
void require_one_rank_for_gpu(const std::string& device, int ranks);
// The same, and Error(usage) where leading pairs are wanted of spectrum.device = "cuda".
void require_possible(const SolveRequest& request);

// Decides; `look` is called only if its answer matters, since that alone takes a GPU into use. Its
// errors and what it finds wanting are Error(resources) for "cuda", and the CPU for "auto".
Placement place_solve(const SolveRequest& request,
                      const std::function<GpuOffer(const SolveRequest&)>& look = look_for_gpu);

// All eigenvalues (pairs with `vectors`) of a matrix on a 1 x 1 grid, by cuSOLVER. A is only read.
// Otherwise as the solvers of solvers.hpp: entries are checked to be finite, failures are
// AgreedErrors.
Pairs solve_on_gpu(const BlockCyclicMatrix& a, int device, bool vectors, const std::string& name);

}  // namespace ntk::spectrum
