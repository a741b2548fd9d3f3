// Statuses of CUDA and its libraries as exceptions, and handles that close themselves.
#pragma once

#include <cublasLt.h>
#include <cublas_v2.h>
#include <cuda_runtime_api.h>
#include <cusolver_common.h>

#include <string>
#include <utility>

namespace ntk::device::cuda {

// Error(resources) naming the call, the current device and the host, unless the status is success.
void check(cudaError_t status, const char* call);
void check(cublasStatus_t status, const char* call);
void check(cusolverStatus_t status, const char* call);

// A device as messages name it: "GPU 0 (NVIDIA H100, GPU-...) of host n17".
std::string describe_device(int device);

// Owns a handle that `close` ends.
template <class Handle, auto close>
class Owned {
 public:
  Owned() = default;
  explicit Owned(Handle handle) : handle_(handle) {}
  ~Owned() { reset(); }
  Owned(Owned&& other) noexcept : handle_(std::exchange(other.handle_, Handle{})) {}
  Owned& operator=(Owned&& other) noexcept {
    if (this != &other) {
      reset();
      handle_ = std::exchange(other.handle_, Handle{});
    }
    return *this;
  }
  operator Handle() const { return handle_; }

 private:
  void reset() noexcept {
    if (handle_ != Handle{}) close(handle_);
    handle_ = Handle{};
  }
  Handle handle_{};
};

using Stream = Owned<cudaStream_t, cudaStreamDestroy>;
using Event = Owned<cudaEvent_t, cudaEventDestroy>;
using Blas = Owned<cublasHandle_t, cublasDestroy>;
using Workspace = Owned<void*, cudaFree>;
using BlasLt = Owned<cublasLtHandle_t, cublasLtDestroy>;

Stream make_stream();
Event make_event();

}  // namespace ntk::device::cuda
