#include "device/cuda/staging.hpp"

#include <algorithm>
#include <cstring>

namespace ntk::device::cuda {
namespace {

// Page-locked memory: only from it can a copy run beside other work.
class PinnedMemory final : public MemorySource {
 public:
  void* take(std::size_t bytes) override {
    void* pointer = nullptr;
    if (cudaMallocHost(&pointer, bytes) == cudaSuccess) return pointer;
    cudaGetLastError();
    return nullptr;
  }
  void give_back(void* pointer) noexcept override { cudaFreeHost(pointer); }
  std::size_t granularity(std::size_t) const override { return 4096; }
  std::string owner() const override { return "for copies to and from the GPU (host)"; }
};

constexpr std::size_t piece = 16 << 20;  // of a large upload
constexpr std::size_t most_flying = 8;

}  // namespace

class Staging::Copy final : public HostCopy {
 public:
  Copy(MemoryPool& pool, std::size_t bytes) : pool_(pool), block_(pool.allocate(bytes)) {}
  ~Copy() override {
    if (done) cudaEventSynchronize(done);
    pool_.release(block_);
  }
  const void* data() override {
    check(cudaEventSynchronize(done), "copying to the host");
    return block_;
  }
  void* block() { return block_; }
  Event done;

 private:
  MemoryPool& pool_;
  void* block_;
};

Staging::Staging(cudaStream_t compute)
    : compute_(compute), copies_(make_stream()), pinned_(std::make_unique<PinnedMemory>(), 0) {}

Staging::~Staging() {
  for (auto& f : flying_) {
    cudaEventSynchronize(f.done);
    pinned_.release(f.block);
  }
}

void Staging::land() {
  while (!flying_.empty()) {
    auto& first = flying_.front();
    if (flying_.size() > most_flying) {
      check(cudaEventSynchronize(first.done), "copying to the device");
    } else {
      const cudaError_t state = cudaEventQuery(first.done);
      if (state == cudaErrorNotReady) return;
      check(state, "copying to the device");
    }
    pinned_.release(first.block);
    flying_.pop_front();
  }
}

void Staging::upload(void* device, const void* host, std::size_t bytes) {
  for (std::size_t at = 0; at < bytes; at += piece) {
    const std::size_t size = std::min(piece, bytes - at);
    land();
    void* block = pinned_.allocate(size);
    flying_.push_back({make_event(), block});
    std::memcpy(block, static_cast<const char*>(host) + at, size);
    check(cudaMemcpyAsync(static_cast<char*>(device) + at, block, size, cudaMemcpyHostToDevice,
                          compute_),
          "cudaMemcpyAsync to the device");
    check(cudaEventRecord(flying_.back().done, compute_), "cudaEventRecord");
  }
}

std::unique_ptr<HostCopy> Staging::copy_out(const void* device, std::size_t bytes) {
  const Event ready = make_event();
  check(cudaEventRecord(ready, compute_), "cudaEventRecord");
  check(cudaStreamWaitEvent(copies_, ready, 0), "cudaStreamWaitEvent");
  auto copy = std::make_unique<Copy>(pinned_, bytes);
  check(cudaMemcpyAsync(copy->block(), device, bytes, cudaMemcpyDeviceToHost, copies_),
        "cudaMemcpyAsync to the host");
  Event done = make_event();
  check(cudaEventRecord(done, copies_), "cudaEventRecord");
  copy->done = std::move(done);
  return copy;
}

}  // namespace ntk::device::cuda
