#include <cuda_runtime_api.h>
#include <fmt/format.h>

#include "device/cuda_devices.hpp"

namespace ntk::device {

bool cuda_built() {
  return true;
}

std::vector<std::string> cuda_devices() {
  int count = 0;
  if (cudaGetDeviceCount(&count) != cudaSuccess) return {};  // no driver or no device
  std::vector<std::string> names;
  for (int i = 0; i < count; ++i) {
    cudaDeviceProp p{};
    if (cudaGetDeviceProperties(&p, i) != cudaSuccess) continue;
    std::string uuid = "GPU-";
    for (const char byte : p.uuid.bytes)
      uuid += fmt::format("{:02x}", static_cast<unsigned char>(byte));
    names.push_back(fmt::format("{}: {}, {:.1f} GiB, compute capability {}.{}, {}", i, p.name,
                                static_cast<double>(p.totalGlobalMem) / (1 << 30), p.major, p.minor,
                                uuid));
  }
  return names;
}

}  // namespace ntk::device
