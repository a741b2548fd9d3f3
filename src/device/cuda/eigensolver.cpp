// The symmetric eigensolver of one device: cusolverDnXsyevd, whose sizes are 64 bits wide.
#include <cusolverDn.h>

#include <memory>

#include "base/error.hpp"
#include "device/cuda.hpp"
#include "device/cuda/check.hpp"
#include "device/cuda_eigen.hpp"

namespace ntk::device {
namespace cuda {
namespace {

using Solver = Owned<cusolverDnHandle_t, cusolverDnDestroy>;
using Parameters = Owned<cusolverDnParams_t, cusolverDnDestroyParams>;
using Block = Owned<void*, cudaFree>;

Block allocate(int device, std::size_t bytes, const char* what) {
  void* pointer = nullptr;
  const cudaError_t status = cudaMalloc(&pointer, bytes);
  if (status == cudaErrorMemoryAllocation) {
    cudaGetLastError();
    fail(ExitCode::resources,
         "{} of the eigensolver needs {:.3g} GiB on {}, which has {:.3g} GiB left (the solve holds "
         "the matrix and a workspace there) end what else uses this GPU, or use spectrum.device = "
         "\"cpu\"",
         what, static_cast<double>(bytes) / (1 << 30), describe_device(device),
         static_cast<double>(cuda_free_bytes(device)) / (1 << 30));
  }
  check(status, "cudaMalloc");
  return Block(pointer);
}

// One eigenproblem's handles. Members are destroyed before the stream that they work on.
class Eigensolver {
 public:
  Eigensolver(int device, std::int64_t order, bool vectors)
      : device_(device),
        n_(order),
        jobs_(vectors ? CUSOLVER_EIG_MODE_VECTOR : CUSOLVER_EIG_MODE_NOVECTOR) {
    ensure(order > 0, "eigenproblem of order {}", order);
    check(cudaSetDevice(device), "cudaSetDevice");
    stream_ = make_stream();
    cusolverDnHandle_t solver = nullptr;
    check(cusolverDnCreate(&solver), "cusolverDnCreate");
    solver_ = Solver(solver);
    check(cusolverDnSetStream(solver_, stream_), "cusolverDnSetStream");
    cusolverDnParams_t parameters = nullptr;
    check(cusolverDnCreateParams(&parameters), "cusolverDnCreateParams");
    parameters_ = Parameters(parameters);
    info_ = allocate(device_, sizeof(int), "the status");
    ask_workspace();
  }

  EigenMemory memory() const {
    return {matrix_bytes() + values_bytes() + device_workspace_ + sizeof(int), host_workspace_};
  }

  std::vector<double> solve(const double* matrix, std::int64_t ld, double* vectors) {
    const Block a = allocate(device_, matrix_bytes(), "the matrix");
    const Block w = allocate(device_, values_bytes(), "the result");
    const Block work =
        device_workspace_ > 0 ? allocate(device_, device_workspace_, "the workspace") : Block();
    const std::unique_ptr<char[]> host_work(host_workspace_ > 0 ? new char[host_workspace_]
                                                                : nullptr);
    copy(a, n_, matrix, ld, cudaMemcpyHostToDevice);
    check(cusolverDnXsyevd(solver_, parameters_, jobs_, CUBLAS_FILL_MODE_LOWER, n_, CUDA_R_64F, a,
                           n_, CUDA_R_64F, w, CUDA_R_64F, work, device_workspace_, host_work.get(),
                           host_workspace_, static_cast<int*>(static_cast<void*>(info_))),
          "cusolverDnXsyevd");
    int info = 0;
    check(cudaMemcpyAsync(&info, info_, sizeof info, cudaMemcpyDeviceToHost, stream_),
          "cudaMemcpyAsync to the host");
    check(cudaStreamSynchronize(stream_), "waiting for cusolverDnXsyevd");
    require(info == 0, ExitCode::numerical,
            "cusolverDnXsyevd failed on {} (info = {}: {}) try spectrum.device = \"cpu\"",
            describe_device(device_), info,
            info < 0 ? "an argument that it does not accept"
                     : "so many elements of the tridiagonal form did not converge to zero");
    std::vector<double> values(static_cast<std::size_t>(n_));
    check(cudaMemcpyAsync(values.data(), w, values_bytes(), cudaMemcpyDeviceToHost, stream_),
          "cudaMemcpyAsync to the host");
    if (vectors != nullptr) copy(vectors, ld, a, n_, cudaMemcpyDeviceToHost);
    check(cudaStreamSynchronize(stream_), "copying to the host");
    return values;
  }

 private:
  void ask_workspace() {
    // Nothing is read from the matrix and the values here; they only must not be null.
    const cusolverStatus_t status = cusolverDnXsyevd_bufferSize(
        solver_, parameters_, jobs_, CUBLAS_FILL_MODE_LOWER, n_, CUDA_R_64F, info_, n_, CUDA_R_64F,
        info_, CUDA_R_64F, &device_workspace_, &host_workspace_);
    require(status != CUSOLVER_STATUS_INVALID_VALUE, ExitCode::resources,
            "cusolverDnXsyevd_bufferSize refuses order {} on {} ({}; before CUDA 13 the workspace "
            "is counted in 32 bits) use spectrum.device = \"cpu\", on several ranks",
            n_, describe_device(device_), cuda_eigen_version());
    check(status, "cusolverDnXsyevd_bufferSize");
  }

  std::size_t values_bytes() const { return static_cast<std::size_t>(n_) * sizeof(double); }
  std::size_t matrix_bytes() const { return static_cast<std::size_t>(n_) * values_bytes(); }

  // n x n numbers between the host and the device. From pageable memory, by way of the driver's own
  // page-locked pieces: seconds beside the minutes of a solve.
  void copy(void* to, std::int64_t to_ld, const void* from, std::int64_t from_ld,
            cudaMemcpyKind kind) {
    const char* call = kind == cudaMemcpyHostToDevice ? "cudaMemcpy2DAsync to the device"
                                                      : "cudaMemcpy2DAsync to the host";
    if (to_ld == n_ && from_ld == n_) {
      check(cudaMemcpyAsync(to, from, matrix_bytes(), kind, stream_), call);
      return;
    }
    const auto pitch = [](std::int64_t ld) {
      return static_cast<std::size_t>(ld) * sizeof(double);
    };
    check(cudaMemcpy2DAsync(to, pitch(to_ld), from, pitch(from_ld), values_bytes(),
                            static_cast<std::size_t>(n_), kind, stream_),
          call);
  }

  int device_;
  std::int64_t n_;
  cusolverEigMode_t jobs_;
  Stream stream_;
  Solver solver_;
  Parameters parameters_;
  Block info_;
  std::size_t device_workspace_ = 0, host_workspace_ = 0;
};

}  // namespace
}  // namespace cuda

EigenMemory cuda_eigen_memory(int device, std::int64_t order, bool vectors) {
  return cuda::Eigensolver(device, order, vectors).memory();
}

std::vector<double> cuda_eigen(int device, std::int64_t order, const double* matrix,
                               std::int64_t ld, double* vectors) {
  ensure(ld >= order, "leading dimension {} of a matrix of order {}", ld, order);
  return cuda::Eigensolver(device, order, vectors != nullptr).solve(matrix, ld, vectors);
}

std::string cuda_eigen_version() {
  int major = 0, minor = 0, patch = 0;
  cusolverGetProperty(MAJOR_VERSION, &major);
  cusolverGetProperty(MINOR_VERSION, &minor);
  cusolverGetProperty(PATCH_LEVEL, &patch);
  return fmt::format("cuSOLVER {}.{}.{}", major, minor, patch);
}

}  // namespace ntk::device
