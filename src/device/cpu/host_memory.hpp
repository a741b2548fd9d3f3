// Pages of the host.
#pragma once

#include "device/memory_pool.hpp"

namespace ntk::device::cpu {

// Aligned to 4,096 bytes at least. Large blocks lie in huge pages where the system has them:
// contraction walks rows that are far apart, and with small pages address translation holds it up.
class HostMemory final : public MemorySource {
 public:
  void* take(std::size_t bytes) override;
  void give_back(void* pointer) noexcept override;
  std::size_t granularity(std::size_t bytes) const override;
  std::string owner() const override { return "of this rank"; }
};

}  // namespace ntk::device::cpu
