// What the rest of the program knows of CUDA. Built without it there are no devices, and asking for
// a backend on one is Error(resources).
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "device/backend.hpp"
#include "device/precision.hpp"

namespace ntk::device {

bool cuda_built();

struct CudaDevice {
  int index = 0;
  std::string name;
  std::string uuid;        // GPU-xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx
  std::string capability;  // 9.0
  int multiprocessors = 0;
  std::size_t total_bytes = 0;
};

// The devices this process can see; when there are none, why ("no CUDA driver is installed").
struct CudaDevices {
  std::vector<CudaDevice> devices;
  std::string problem;
};
CudaDevices cuda_devices();

// Bytes that are free on a device now.
std::size_t cuda_free_bytes(int device);

// Versions of the CUDA runtime and of cuBLAS, whose choice of kernels decides bits.
std::string cuda_versions();

// Products of gradients before they are added to tiles: so many rows of them are under way at a
// time, each in so many bytes, or one product if that is larger. All should stay in the device's
// cache, since products of terms are added to them one after the other.
inline constexpr int cuda_lanes = 4;
inline constexpr std::int64_t cuda_lane_bytes = std::int64_t{8} << 20;

// Blocks of about `bytes` on a GPU are multiples of this.
constexpr std::size_t cuda_granularity(std::size_t bytes) {
  return bytes >= (1 << 20) ? std::size_t{1} << 16 : 512;
}

// cuBLAS and kernels of our own on one device. `limit_bytes` bounds what is allocated there, 0 =
// what there is. fp64 goes with Real = double, every other precision with float. Throws
// Error(resources) naming call, device and host for whatever the device refuses, then and later.
template <class Real>
std::unique_ptr<Backend<Real>> make_cuda_backend(int device, Precision precision,
                                                 std::size_t limit_bytes);

}  // namespace ntk::device
