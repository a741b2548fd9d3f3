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

// cuSOLVER has no function that names its statuses; these are the ones of dense solvers.
std::string status_name(cusolverStatus_t status) {
  switch (status) {
    case CUSOLVER_STATUS_NOT_INITIALIZED:
      return "CUSOLVER_STATUS_NOT_INITIALIZED";
    case CUSOLVER_STATUS_ALLOC_FAILED:
      return "CUSOLVER_STATUS_ALLOC_FAILED";
    case CUSOLVER_STATUS_INVALID_VALUE:
      return "CUSOLVER_STATUS_INVALID_VALUE";
    case CUSOLVER_STATUS_ARCH_MISMATCH:
      return "CUSOLVER_STATUS_ARCH_MISMATCH";
    case CUSOLVER_STATUS_EXECUTION_FAILED:
      return "CUSOLVER_STATUS_EXECUTION_FAILED";
    case CUSOLVER_STATUS_INTERNAL_ERROR:
      return "CUSOLVER_STATUS_INTERNAL_ERROR";
    case CUSOLVER_STATUS_NOT_SUPPORTED:
      return "CUSOLVER_STATUS_NOT_SUPPORTED";
    default:
      return fmt::format("cusolverStatus_t {}", static_cast<int>(status));
  }
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
  ensure(status != cudaErrorIllegalAddress && status != cudaErrorMisalignedAddress, "{}: {}", call,
         cudaGetErrorString(status));
  refuse(call, fmt::format("{} ({})", cudaGetErrorString(status), cudaGetErrorName(status)));
}

void check(cublasStatus_t status, const char* call) {
  if (status == CUBLAS_STATUS_SUCCESS) return;
  refuse(call, cublasGetStatusString(status));
}

void check(cusolverStatus_t status, const char* call) {
  if (status == CUSOLVER_STATUS_SUCCESS) return;
  refuse(call, status_name(status));
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
