#include "spectrum/gpu.hpp"

#include <algorithm>

#include "base/error.hpp"
#include "device/cuda.hpp"
#include "device/cuda_eigen.hpp"
#include "parallel/collectives.hpp"

namespace ntk::spectrum {
namespace {

// What the driver and cuSOLVER keep on a GPU beside what is asked of them.
constexpr double usable_share = 0.92;

double gib(double bytes) {
  return bytes / (1 << 30);
}

// What keeps a GPU from being used, as PROBLEM (WHY); empty when nothing does.
std::string obstacle(const SolveRequest& request, const GpuOffer& offer) {
  const double usable = usable_share * offer.free;
  if (offer.needed <= usable) return {};
  return fmt::format(
      "the eigensolver needs {:.3g} GiB on {}, where {:.3g} GiB can be used (matrix and workspace "
      "of order {}{})",
      gib(offer.needed), offer.name, gib(usable), request.order,
      request.vectors ? " with vectors" : "");
}

}  // namespace

GpuOffer look_for_gpu(const SolveRequest& request) {
  const device::CudaDevices found = device::cuda_devices();
  GpuOffer offer;
  if (found.devices.empty()) {
    offer.problem = found.problem;
    return offer;
  }
  const device::CudaDevice& gpu = found.devices.front();
  offer.index = gpu.index;
  offer.name = fmt::format("{} ({}), {}", gpu.name, gpu.uuid, device::cuda_eigen_version());
  if (request.order == 0) return offer;
  const auto memory = device::cuda_eigen_memory(gpu.index, request.order, request.vectors);
  offer.needed = static_cast<double>(memory.device);
  offer.host_bytes = static_cast<double>(memory.host);
  offer.free = static_cast<double>(device::cuda_free_bytes(gpu.index));
  return offer;
}

void require_one_rank_for_gpu(const std::string& device, int ranks) {
  require(device != "cuda" || ranks == 1, ExitCode::usage,
          "spectrum.device = \"cuda\" and {} ranks (a GPU solves for one rank alone) run `ntk "
          "spectrum` on one rank, or use spectrum.device = \"cpu\"",
          ranks);
}

void require_possible(const SolveRequest& request) {
  require_one_rank_for_gpu(request.device, request.ranks);
  require(request.device != "cuda" || request.full, ExitCode::usage,
          "spectrum.device = \"cuda\" and leading pairs of order {} (the solver on the GPU finds "
          "all of them) use spectrum.method = \"full\", or spectrum.device = \"cpu\"",
          request.order);
}

Placement place_solve(const SolveRequest& request,
                      const std::function<GpuOffer(const SolveRequest&)>& look) {
  require_possible(request);
  const bool asked = request.device == "cuda";
  Placement place;
  if (!asked && (request.device == "cpu" || request.ranks > 1 || !request.full ||
                 request.order < auto_gpu_order)) {
    return place;
  }
  GpuOffer offer;
  try {
    offer = look(request);
  } catch (const Error& error) {
    if (asked || error.code() != ExitCode::resources) throw;
    place.passed_over = error.what();
    return place;
  }
  if (!offer.problem.empty()) {
    require(!asked, ExitCode::resources,
            "spectrum.device = \"cuda\" and no GPU can be used ({}) check CUDA_VISIBLE_DEVICES and "
            "the job's --gpus, or use spectrum.device = \"cpu\"",
            offer.problem);
    return place;
  }
  place.passed_over = obstacle(request, offer);
  if (!place.passed_over.empty()) {
    require(!asked, ExitCode::resources,
            "{} use spectrum.device = \"cpu\", on one or several ranks", place.passed_over);
    return place;
  }
  place.gpu = true;
  place.index = offer.index;
  place.device = offer.name;
  place.host_bytes = offer.host_bytes;
  return place;
}

Pairs solve_on_gpu(const BlockCyclicMatrix& a, int device, bool vectors, const std::string& name) {
  ensure(a.grid().shape().active() == 1, "a matrix of {} ranks on one GPU",
         a.grid().shape().active());
  require_finite(a, name);
  const std::int64_t n = a.rows();
  Pairs pairs;
  pairs.method = "cusolverDnXsyevd";
  parallel::collectively(a.grid().comm(), [&] {
    BlockCyclicMatrix& v = pairs.vectors;
    if (vectors) v = BlockCyclicMatrix(a.grid(), n, n, a.block());
    if (n == 0) return;
    // On one rank the local part is the matrix, column by column.
    pairs.values = device::cuda_eigen(device, n, a.data(), a.leading_dimension(),
                                      vectors ? v.data() : nullptr);
    // Ascending there, descending here.
    std::reverse(pairs.values.begin(), pairs.values.end());
    for (std::int64_t k = 0; vectors && k < n / 2; ++k) {
      std::swap_ranges(v.column(k), v.column(k) + n, v.column(n - 1 - k));
    }
  });
  return pairs;
}

}  // namespace ntk::spectrum
