// cuSOLVER's symmetric eigensolver by LAPACK's, and the copies that it needs.
#include <cuda_runtime_api.h>
#include <cusolverDn.h>

#include <cstdlib>
#include <cstring>
#include <vector>

extern "C" {

void dsyevd_(const char* jobs, const char* triangle, const int* n, double* a, const int* lda,
             double* w, double* work, const int* work_size, int* index, const int* index_size,
             int* info);

cudaError_t cudaMemcpy2DAsync(void* to, size_t to_pitch, const void* from, size_t from_pitch,
                              size_t width, size_t height, cudaMemcpyKind kind,
                              cudaStream_t stream) {
  cudaError_t status = cudaSuccess;
  for (size_t i = 0; i < height && status == cudaSuccess; ++i) {
    status = cudaMemcpyAsync(static_cast<char*>(to) + i * to_pitch,
                             static_cast<const char*>(from) + i * from_pitch, width, kind, stream);
  }
  return status;
}

cusolverStatus_t cusolverDnCreate(cusolverDnHandle_t* handle) {
  *handle = static_cast<cusolverDnHandle_t>(std::malloc(1));
  return CUSOLVER_STATUS_SUCCESS;
}
cusolverStatus_t cusolverDnDestroy(cusolverDnHandle_t handle) {
  std::free(handle);
  return CUSOLVER_STATUS_SUCCESS;
}
cusolverStatus_t cusolverDnSetStream(cusolverDnHandle_t, cudaStream_t) {
  return CUSOLVER_STATUS_SUCCESS;
}
cusolverStatus_t cusolverDnCreateParams(cusolverDnParams_t* parameters) {
  *parameters = static_cast<cusolverDnParams_t>(std::malloc(1));
  return CUSOLVER_STATUS_SUCCESS;
}
cusolverStatus_t cusolverDnDestroyParams(cusolverDnParams_t parameters) {
  std::free(parameters);
  return CUSOLVER_STATUS_SUCCESS;
}
cusolverStatus_t cusolverGetProperty(libraryPropertyType, int* value) {
  *value = 0;
  return CUSOLVER_STATUS_SUCCESS;
}
cusolverStatus_t cusolverDnXsyevd_bufferSize(cusolverDnHandle_t, cusolverDnParams_t,
                                             cusolverEigMode_t, cublasFillMode_t, int64_t n,
                                             cudaDataType, const void* a, int64_t, cudaDataType,
                                             const void* w, cudaDataType, size_t* device,
                                             size_t* host) {
  if (a == nullptr || w == nullptr) return CUSOLVER_STATUS_INVALID_VALUE;
  *device = sizeof(double) * static_cast<size_t>(n * n);
  *host = 64;
  return CUSOLVER_STATUS_SUCCESS;
}
cusolverStatus_t cusolverDnXsyevd(cusolverDnHandle_t, cusolverDnParams_t, cusolverEigMode_t jobs,
                                  cublasFillMode_t triangle, int64_t n, cudaDataType, void* a,
                                  int64_t lda, cudaDataType, void* w, cudaDataType, void* device,
                                  size_t, void* host, size_t, int* info) {
  if (device == nullptr || host == nullptr) return CUSOLVER_STATUS_INVALID_VALUE;
  const char* job = jobs == CUSOLVER_EIG_MODE_VECTOR ? "V" : "N";
  const char* part = triangle == CUBLAS_FILL_MODE_LOWER ? "L" : "U";
  const int order = static_cast<int>(n), ld = static_cast<int>(lda), ask = -1;
  double size = 0;
  int index_size = 0;
  dsyevd_(job, part, &order, static_cast<double*>(a), &ld, static_cast<double*>(w), &size, &ask,
          &index_size, &ask, info);
  const int work_size = static_cast<int>(size);
  std::vector<double> work(static_cast<size_t>(work_size));
  std::vector<int> index(static_cast<size_t>(index_size));
  dsyevd_(job, part, &order, static_cast<double*>(a), &ld, static_cast<double*>(w), work.data(),
          &work_size, index.data(), &index_size, info);
  return CUSOLVER_STATUS_SUCCESS;
}

}  // extern "C"
