#include "device/cuda/check.hpp"

#include <unistd.h>

#include "base/error.hpp"
#include "device/cuda.hpp"

namespace ntk::device::cuda {
namespace {

std::string host_name() {
  char name[256] = {};
  gethostname(name, sizeof name - 1);
  return name;
}

[[noreturn]] void refuse(const char* call, const std::string& text) {
  int device = -1;
  cudaGetDevice(&device);
  throw Error(ExitCode::resources,
              fmt::format("{} failed on {}: {} (the device or its driver refused it) look at "
                          "nvidia-smi and the node's kernel log; tiles that were written are kept, "
                          "and the same command goes on from them",
                          call, describe_device(device), text));
}

}  // namespace

void check(cudaError_t status, const char* call) {
  if (status == cudaSuccess) return;
  refuse(call, fmt::format("{} ({})", cudaGetErrorString(status), cudaGetErrorName(status)));
}

void check(cublasStatus_t status, const char* call) {
  if (status == CUBLAS_STATUS_SUCCESS) return;
  refuse(call, cublasGetStatusString(status));
}

std::string describe_device(int device) {
  // From what was listed at the start: a device that is lost no longer answers.
  static const CudaDevices known = cuda_devices();
  for (const auto& d : known.devices) {
    if (d.index == device) {
      return fmt::format("GPU {} ({}, {}) of host {}", device, d.name, d.uuid, host_name());
    }
  }
  return fmt::format("GPU {} of host {}", device, host_name());
}

Stream make_stream() {
  cudaStream_t stream = nullptr;
  check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "cudaStreamCreateWithFlags");
  return Stream(stream);
}

Event make_event() {
  cudaEvent_t event = nullptr;
  check(cudaEventCreateWithFlags(&event, cudaEventDisableTiming), "cudaEventCreateWithFlags");
  return Event(event);
}

}  // namespace ntk::device::cuda
