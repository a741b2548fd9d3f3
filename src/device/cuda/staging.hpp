// Pinned host memory between a device and the rest of the host's: copies that run beside kernels.
#pragma once

#include <deque>
#include <memory>

#include "device/backend.hpp"
#include "device/cuda/check.hpp"
#include "device/memory_pool.hpp"

namespace ntk::device::cuda {

class Staging {
 public:
  // Work is ordered by `compute`; copies to the host run on a stream of their own.
  explicit Staging(cudaStream_t compute);
  ~Staging();
  Staging(const Staging&) = delete;
  Staging& operator=(const Staging&) = delete;

  // `host` may be changed when this returns.
  void upload(void* device, const void* host, std::size_t bytes);
  // Begins after what `compute` was given so far.
  std::unique_ptr<HostCopy> copy_out(const void* device, std::size_t bytes);

 private:
  class Copy;
  struct Flying {
    Event done;
    void* block;
  };
  void land();  // takes back blocks whose copies are done

  cudaStream_t compute_;
  Stream copies_;
  MemoryPool pinned_;
  std::deque<Flying> flying_;
};

}  // namespace ntk::device::cuda
