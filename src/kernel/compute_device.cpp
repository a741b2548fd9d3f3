#include "kernel/compute_device.hpp"

#include <algorithm>

#include "base/log.hpp"
#include "device/cpu/blas_core.hpp"
#include "device/cuda.hpp"
#include "parallel/collectives.hpp"
#include "parallel/mpi.hpp"
#include "store/disk.hpp"
#include "store/hdf5.hpp"

namespace ntk::kernel {

using nlohmann::json;

namespace {

// What libraries keep on a GPU beside what is asked of them: contexts, workspaces.
constexpr double usable_share = 0.92;

// The GPU of the rank numbered `local_rank` on its node.
device::CudaDevice gpu_of(const std::vector<device::CudaDevice>& devices, int local_rank) {
  return devices[static_cast<std::size_t>(local_rank) % devices.size()];
}

// Collective. How many ranks use the GPU `mine` of the node `node`; refuses more than one unless
// that is allowed.
int ranks_sharing(MPI_Comm comm, const Job& job, int node, const device::CudaDevice& mine) {
  const auto place = fmt::format("{} {}", node, mine.uuid);
  const auto places = parallel::all_gather(comm, place);
  const auto at = [&](const std::string& p) { return std::count(places.begin(), places.end(), p); };
  for (std::size_t rank = 0; rank < places.size() && !job.kernel.share_gpu; ++rank) {
    if (at(places[rank]) == 1) continue;
    throw parallel::AgreedError(
        ExitCode::resources,
        fmt::format("{} ranks would share one GPU ({}; rank {} is the first of them) start one "
                    "rank a GPU (Slurm: --ntasks-per-node and --gpus-per-node alike), or allow it "
                    "with kernel.share_gpu = true",
                    at(places[rank]), places[rank].substr(places[rank].find(' ') + 1), rank));
  }
  return static_cast<int>(at(place));
}

void print_devices(MPI_Comm comm, const ComputeDevice& chosen, const device::CudaDevice& gpu) {
  char host[MPI_MAX_PROCESSOR_NAME] = {};
  int length = 0;
  MPI_Get_processor_name(host, &length);
  const auto lines = parallel::gather(
      comm,
      fmt::format("{}: {}, {}, compute capability {}, {:.1f} of {:.1f} GiB usable", host, gpu.name,
                  gpu.uuid, gpu.capability, static_cast<double>(chosen.memory) / (1 << 30),
                  static_cast<double>(gpu.total_bytes) / (1 << 30)));
  for (std::size_t rank = 0; rank < lines.size(); ++rank) {
    log::info("kernel: rank {} on {}", rank, lines[rank]);
  }
}

json cpu_hardware() {
  return {{"hardware.device", "cpu"},
          {"hardware.blas", device::cpu::blas_name()},
          {"hardware.blas_core", device::cpu::blas_core()},
          {"hardware.vectors",
#if defined(__AVX512F__)
           "avx512"
#elif defined(__AVX2__)
           "avx2"
#else
           "generic"
#endif
          }};
}

// cuBLAS promises equal bits for one architecture and number of multiprocessors.
json gpu_hardware(const device::CudaDevice& gpu) {
  return {{"hardware.device", "cuda"},
          {"hardware.blas", device::cuda_versions()},
          {"hardware.gpu", fmt::format("compute capability {}, {} multiprocessors", gpu.capability,
                                       gpu.multiprocessors)}};
}

// Collective. The hardware keys of the first of these files that has any, empty when none has, or
// when the job insists on a device.
json recorded_hardware(MPI_Comm comm, const Job& job, const std::vector<std::string>& files) {
  int rank = 0;
  MPI_Comm_rank(comm, &rank);
  std::string found = "{}";
  for (const auto& path : files) {
    if (rank != 0 || job.kernel.device != "auto" || !store::file_exists(path)) continue;
    try {
      const json attributes = store::h5::read_attributes(store::h5::open_file(path));
      json hardware = json::object();
      for (const auto& [key, value] : attributes.items()) {
        if (key.starts_with("hardware.")) hardware[key] = value;
      }
      if (!hardware.contains("hardware.device")) continue;
      found = hardware.dump();
      break;
    } catch (const Error&) {
      // The writer will say what is wrong with it.
    }
  }
  parallel::broadcast(comm, found);
  return json::parse(found);
}

}  // namespace

const std::vector<std::string> hardware_keys = {"hardware.device",
                                                "hardware.blas",
                                                "hardware.blas_core",
                                                "hardware.vectors",
                                                "hardware.gpu",
                                                "arithmetic.chunk_columns",
                                                "arithmetic.structured_rows",
                                                "arithmetic.panel_record_bytes"};

ComputeDevice choose_device(MPI_Comm comm, const Job& job, const Resources& resources,
                            const std::vector<std::string>& recorded) {
  const auto& facts = device::facts(job.kernel.precision);
  if (const json hardware = recorded_hardware(comm, job, recorded); !hardware.empty()) {
    ComputeDevice device;
    if (hardware.at("hardware.device") == "cuda") device.kind = device::Kind::cuda;
    device.precision = facts.precision;
    device.host = resources.memory;
    device.hardware = hardware;
    device.recorded = true;
    return device;
  }
  const auto place = parallel::node_place(comm);
  const device::CudaDevices found =
      job.kernel.device == "cpu" ? device::CudaDevices{} : device::cuda_devices();
  ComputeDevice chosen;
  chosen.precision = facts.precision;
  chosen.hardware = cpu_hardware();
  const double wanted = job.kernel.memory_gib * (1 << 30);
  chosen.memory = wanted > 0 ? static_cast<std::size_t>(wanted) : resources.memory;
  chosen.host = chosen.memory;
  parallel::collectively(comm, [&] {
    if (!found.devices.empty()) {
      chosen.kind = device::Kind::cuda;
      return;
    }
    require(job.kernel.device != "cuda", ExitCode::resources,
            "kernel.device = \"cuda\" and no GPU can be used ({}) check CUDA_VISIBLE_DEVICES and "
            "the job's --gpus, or use kernel.device = \"cpu\"",
            found.problem);
    require(!facts.tensor_cores, ExitCode::usage,
            "kernel.precision = \"{}\" on the CPU (it is for devices that have it in hardware{}) "
            "use \"fp32\" or \"fp64\", or a GPU",
            facts.name, found.problem.empty() ? "" : "; " + found.problem);
    if (job.kernel.device == "auto" && found.problem.find("driver supports") != std::string::npos) {
      log::warn("the GPU of this node is not used ({}) update the driver, or load an older CUDA",
                found.problem);
    }
  });
  const int with_gpu = parallel::all_sum(comm, chosen.kind == device::Kind::cuda ? 1 : 0);
  if (with_gpu == 0) return chosen;
  int ranks = 1;
  MPI_Comm_size(comm, &ranks);
  parallel::collectively(comm, [&] {
    require(chosen.kind == device::Kind::cuda, ExitCode::resources,
            "{} of {} ranks see a GPU and this one does not ({}) give every node GPUs, or set "
            "kernel.device",
            with_gpu, ranks, found.problem);
  });
  const device::CudaDevice gpu = gpu_of(found.devices, place.rank);
  const int sharing = ranks_sharing(comm, job, place.node, gpu);
  chosen.index = gpu.index;
  chosen.hardware = gpu_hardware(gpu);
  chosen.host = resources.memory;
  parallel::collectively(comm, [&] {
    const auto free = static_cast<double>(device::cuda_free_bytes(gpu.index));
    const double usable = usable_share * free / sharing;
    chosen.memory = static_cast<std::size_t>(wanted > 0 ? std::min(wanted, usable) : usable);
  });
  print_devices(comm, chosen, gpu);
  return chosen;
}

ComputeDevice imagined_gpu(const Job& job, const Resources& resources, double bytes) {
  ComputeDevice gpu;
  gpu.kind = device::Kind::cuda;
  gpu.precision = device::facts(job.kernel.precision).precision;
  gpu.host = resources.memory;
  gpu.hardware = json::object();
  const double wanted = job.kernel.memory_gib * (1 << 30), usable = usable_share * bytes;
  gpu.memory = static_cast<std::size_t>(wanted > 0 ? std::min(wanted, usable) : usable);
  return gpu;
}

template <class Real>
std::unique_ptr<device::Backend<Real>> make_backend(const ComputeDevice& device, int threads) {
  if (device.kind == device::Kind::cuda) {
    return device::make_cuda_backend<Real>(device.index, device.precision, device.memory);
  }
  return device::make_cpu_backend<Real>(threads, device.memory);
}
template std::unique_ptr<device::Backend<float>> make_backend<float>(const ComputeDevice&, int);
template std::unique_ptr<device::Backend<double>> make_backend<double>(const ComputeDevice&, int);

}  // namespace ntk::kernel
