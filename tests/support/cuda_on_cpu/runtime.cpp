// The CUDA runtime on host memory. NTK_FAKE_CUDA orders faults, separated by commas:
//   devices=N       devices there are (default 1); 0 = none visible
//   driver=13000    version of the driver; 0 = none installed
//   gib=X           memory of a device
//   capability=N    major number of the compute capability
//   lost=N          from the N-th copy to the host on, every call fails: the device is lost
#include <cuda_runtime_api.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <string>

namespace {

double ordered(const char* what, double otherwise) {
  const char* orders = std::getenv("NTK_FAKE_CUDA");
  const char* at = orders == nullptr ? nullptr : std::strstr(orders, what);
  return at == nullptr ? otherwise : std::atof(at + std::strlen(what) + 1);
}

constexpr int runtime_version = 13000;
double gib() {
  return ordered("gib", 4);
}

int current = 0;
std::size_t used = 0;
std::map<void*, std::size_t> blocks;
long copies_out = 0;

cudaError_t state() {
  const double lost = ordered("lost", -1);
  return lost >= 0 && static_cast<double>(copies_out) >= lost ? cudaErrorLaunchFailure
                                                              : cudaSuccess;
}

// An address to tell handles apart by.
template <class Handle>
cudaError_t make_handle(Handle* to) {
  *to = reinterpret_cast<Handle>(std::malloc(1));
  return state();
}

}  // namespace

extern "C" {

cudaError_t cudaDriverGetVersion(int* version) {
  *version = static_cast<int>(ordered("driver", runtime_version));
  return cudaSuccess;
}
cudaError_t cudaRuntimeGetVersion(int* version) {
  *version = runtime_version;
  return cudaSuccess;
}
cudaError_t cudaGetDeviceCount(int* count) {
  *count = 0;
  if (ordered("driver", runtime_version) < runtime_version) return cudaErrorInsufficientDriver;
  *count = static_cast<int>(ordered("devices", 1));
  return *count == 0 ? cudaErrorNoDevice : cudaSuccess;
}
cudaError_t cudaGetDeviceProperties(cudaDeviceProp* p, int device) {
  *p = {};
  std::snprintf(p->name, sizeof p->name, "device on the CPU");
  for (int i = 0; i < 16; ++i) p->uuid.bytes[i] = static_cast<char>(16 * device + i);
  p->major = static_cast<int>(ordered("capability", 9));
  p->totalGlobalMem = static_cast<std::size_t>(gib() * (1 << 30));
  return cudaSuccess;
}
cudaError_t cudaGetDevice(int* device) {
  *device = current;
  return cudaSuccess;
}
cudaError_t cudaSetDevice(int device) {
  current = device;
  return state();
}
const char* cudaGetErrorString(cudaError_t error) {
  return error == cudaErrorLaunchFailure ? "unspecified launch failure" : "an error";
}
const char* cudaGetErrorName(cudaError_t error) {
  return error == cudaErrorLaunchFailure ? "cudaErrorLaunchFailure" : "cudaError";
}
cudaError_t cudaGetLastError() {
  return state();
}

cudaError_t cudaMemGetInfo(std::size_t* free, std::size_t* total) {
  *total = static_cast<std::size_t>(gib() * (1 << 30));
  *free = *total - used;
  return state();
}
cudaError_t cudaMalloc(void** pointer, std::size_t bytes) {
  if (state() != cudaSuccess) return state();
  if (static_cast<double>(used + bytes) > gib() * (1 << 30)) return cudaErrorMemoryAllocation;
  *pointer = std::aligned_alloc(512, (bytes + 511) / 512 * 512);
  std::memset(*pointer, 0xff, bytes);  // not a number
  used += bytes;
  blocks[*pointer] = bytes;
  return cudaSuccess;
}
cudaError_t cudaFree(void* pointer) {
  if (pointer == nullptr) return cudaSuccess;
  const auto found = blocks.find(pointer);
  if (found == blocks.end()) return cudaErrorInvalidValue;
  used -= found->second;
  blocks.erase(found);
  std::free(pointer);
  return state();
}
cudaError_t cudaMallocHost(void** pointer, std::size_t bytes) {
  *pointer = std::malloc(bytes);
  return state();
}
cudaError_t cudaFreeHost(void* pointer) {
  std::free(pointer);
  return state();
}
cudaError_t cudaMemcpyAsync(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind,
                            cudaStream_t) {
  if (kind == cudaMemcpyDeviceToHost) ++copies_out;
  std::memcpy(to, from, bytes);
  return state();
}
cudaError_t cudaMemsetAsync(void* to, int value, std::size_t bytes, cudaStream_t) {
  std::memset(to, value, bytes);
  return state();
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) {
  return make_handle(stream);
}
cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  std::free(stream);
  return state();
}
cudaError_t cudaStreamSynchronize(cudaStream_t) {
  return state();
}
cudaError_t cudaDeviceSynchronize() {
  return state();
}
cudaError_t cudaStreamWaitEvent(cudaStream_t, cudaEvent_t, unsigned) {
  return state();
}
cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned) {
  return make_handle(event);
}
cudaError_t cudaEventDestroy(cudaEvent_t event) {
  std::free(event);
  return state();
}
cudaError_t cudaEventRecord(cudaEvent_t, cudaStream_t) {
  return state();
}
cudaError_t cudaEventSynchronize(cudaEvent_t) {
  return state();
}
cudaError_t cudaEventQuery(cudaEvent_t) {
  return state();
}

}  // extern "C"
