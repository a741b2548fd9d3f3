#include "device/cpu/host_memory.hpp"

#include <sys/mman.h>

#include <cstdlib>

namespace ntk::device::cpu {
namespace {
constexpr std::size_t page = 4096, huge_page = 2 << 20;
}

std::size_t HostMemory::granularity(std::size_t bytes) const {
  return bytes >= 2 * huge_page ? huge_page : page;
}

void* HostMemory::take(std::size_t bytes) {
  void* pointer = std::aligned_alloc(granularity(bytes), bytes);
#ifdef MADV_HUGEPAGE
  if (pointer != nullptr && granularity(bytes) == huge_page) madvise(pointer, bytes, MADV_HUGEPAGE);
#endif
  return pointer;
}

void HostMemory::give_back(void* pointer) noexcept {
  std::free(pointer);
}

}  // namespace ntk::device::cpu
