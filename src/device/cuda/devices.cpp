#include <cublas_v2.h>
#include <cuda_runtime_api.h>

#include <cstdlib>

#include "base/error.hpp"
#include "device/cuda.hpp"
#include "device/cuda/check.hpp"

namespace ntk::device {
namespace {

constexpr int least_major = 8;  // compute capability: bf16 and tf32, and what is compiled for

std::string version_text(int number) {  // 13000 -> 13.0
  return fmt::format("{}.{}", number / 1000, number % 1000 / 10);
}

std::string uuid_text(const char* bytes) {
  std::string text = "GPU";
  for (int i = 0; i < 16; ++i) {
    if (i == 0 || i == 4 || i == 6 || i == 8 || i == 10) text += '-';
    text += fmt::format("{:02x}", static_cast<unsigned char>(bytes[i]));
  }
  return text;
}

std::string why_none(cudaError_t status) {
  int driver = 0, runtime = 0;
  cudaDriverGetVersion(&driver);
  cudaRuntimeGetVersion(&runtime);
  if (driver == 0) return "no CUDA driver is installed";
  if (status == cudaErrorInsufficientDriver) {
    return fmt::format("the CUDA driver supports version {} and this program needs {}",
                       version_text(driver), version_text(runtime));
  }
  if (status == cudaErrorNoDevice || status == cudaSuccess) return "no CUDA device is visible";
  return fmt::format("{} ({})", cudaGetErrorString(status), cudaGetErrorName(status));
}

}  // namespace

bool cuda_built() {
  return true;
}

CudaDevices cuda_devices() {
  int count = 0;
  const cudaError_t status = cudaGetDeviceCount(&count);
  if (status != cudaSuccess || count == 0) {
    cudaGetLastError();
    return {{}, why_none(status)};
  }
  // Read by NVIDIA's libraries at their first call. They change what a named precision is, or which
  // algorithm a shape gets, and so a kernel's bits behind its identity's back.
  for (const char* name : {"NVIDIA_TF32_OVERRIDE", "CUBLAS_WORKSPACE_CONFIG",
                           "CUBLAS_EMULATE_SINGLE_PRECISION", "CUBLAS_EMULATE_DOUBLE_PRECISION"}) {
    unsetenv(name);
  }
  CudaDevices found;
  for (int i = 0; i < count; ++i) {
    cudaDeviceProp p{};
    const cudaError_t answer = cudaGetDeviceProperties(&p, i);
    if (answer != cudaSuccess) {
      found.problem = why_none(answer);
      continue;
    }
    const auto capability = fmt::format("{}.{}", p.major, p.minor);
    if (p.major < least_major) {
      found.problem = fmt::format("{} has compute capability {} and this program needs {}.0",
                                  p.name, capability, least_major);
      continue;
    }
    found.devices.push_back(
        {i, p.name, uuid_text(p.uuid.bytes), capability, p.multiProcessorCount, p.totalGlobalMem});
  }
  return found;
}

std::size_t cuda_free_bytes(int device) {
  std::size_t free = 0, total = 0;
  cuda::check(cudaSetDevice(device), "cudaSetDevice");
  cuda::check(cudaMemGetInfo(&free, &total), "cudaMemGetInfo");
  return free;
}

std::string cuda_versions() {
  int runtime = 0, major = 0, minor = 0, patch = 0;
  cudaRuntimeGetVersion(&runtime);
  cublasGetProperty(MAJOR_VERSION, &major);
  cublasGetProperty(MINOR_VERSION, &minor);
  cublasGetProperty(PATCH_LEVEL, &patch);
  return fmt::format("CUDA {}, cuBLAS {}.{}.{}", version_text(runtime), major, minor, patch);
}

}  // namespace ntk::device
