#include "spectrum/plan.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "parallel/distribution.hpp"
#include "spectrum/memory.hpp"
#include "spectrum/stage.hpp"

namespace ntk::spectrum {
namespace {

// Numbers that a rank receives in one solve. The reduction to tridiagonal form sends pieces of
// vectors along rows and columns of the grid, for each of the n columns: about 5/2 log2(p) n^2 /
// sqrt(p) in all; transforming the vectors back and dividing them moves each a few times more. A
// Krylov space takes some four products a pair, each with a whole vector and a sum of its parts.
double received(const SpectrumPlan& plan, std::int64_t leading) {
  const int p = plan.shape.active();
  if (p == 1) return 0;
  const auto n = static_cast<double>(plan.request.order);
  const double side = std::sqrt(static_cast<double>(p));
  if (plan.work == Work::leading) {
    return 4.0 * static_cast<double>(leading) * n * (1 + 1 / side);
  }
  return n * n / side * (2.5 * std::log2(p) + (plan.request.vectors ? 4 : 0));
}

}  // namespace

SolveRequest solve_request(const Job::Spectrum& options, bool projections, int ranks,
                           std::int64_t order) {
  const bool full =
      options.method == "full" || (options.method == "auto" && order <= auto_full_order);
  const SolveRequest request{options.device, ranks, order, full,
                             projections || options.vectors != 0};
  require_possible(request);
  return request;
}

Work work_of(const SolveRequest& request, bool gpu) {
  if (!request.full) return Work::leading;
  if (!request.vectors) return Work::values;
  return gpu ? Work::gpu_vectors : Work::vectors;
}

SpectrumPlan plan_spectrum(const Job::Spectrum& options, bool projections, int ranks,
                           const KernelSizes& kernel) {
  SpectrumPlan plan;
  const std::int64_t n = kernel.order;
  plan.request = solve_request(options, projections, ranks, n);
  plan.shape = parallel::choose_grid(ranks, n);
  plan.block = parallel::choose_block(n, plan.shape);
  plan.work = work_of(plan.request, false);
  require_32bit(n, plan.block, plan.shape, plan.work);
  plan.bytes = needed_bytes(n, plan.block, plan.shape, plan.work, options.leading);
  plan.local_numbers = parallel::Axis(n, plan.block, plan.shape.rows, 0).local_size() *
                       parallel::Axis(n, plan.block, plan.shape.columns, 0).local_size();
  if (plan.work == Work::vectors) {
    plan.workspace_numbers = padded_workspace(n, plan.block, plan.shape);
  }
  plan.spectra = static_cast<int>(options.kernels.size()) * (options.centre == "both" ? 2 : 1);
  const std::int64_t modes = plan.request.full ? n : std::min(n, options.leading);
  const std::int64_t kept = options.vectors < 0 ? modes : std::min(options.vectors, modes);
  const std::int64_t evaluated =
      std::accumulate(kernel.evaluate_rows.begin(), kernel.evaluate_rows.end(), std::int64_t{0});
  double numbers = static_cast<double>(modes);
  if (plan.request.vectors) {
    numbers += static_cast<double>(n) * static_cast<double>(kept) +
               static_cast<double>(modes * (projections ? kernel.field_columns : 0)) +
               static_cast<double>(evaluated) * static_cast<double>(projections ? modes : kept);
  }
  if (projections && modes < n) {  // tail_sums.hpp
    numbers += static_cast<double>(n * (2 + kernel.field_columns - kernel.variance_columns));
  }
  plan.file_bytes = 8 * plan.spectra * numbers;
  double moved = received(plan, options.leading);
  if (plan.request.vectors && plan.shape.active() > 1) {
    moved += static_cast<double>(evaluated) * static_cast<double>(n);
  }
  plan.network_bytes = 8 * plan.spectra * moved;
  return plan;
}

}  // namespace ntk::spectrum
