#include "device/cpu/memory_pool.hpp"

#include <sys/mman.h>

#include <algorithm>
#include <bit>
#include <cstdlib>

#include "base/error.hpp"

namespace ntk::device::cpu {
namespace {

constexpr std::size_t page = 4096, huge_page = 2 << 20;

std::size_t alignment(std::size_t bytes) {
  return bytes >= 2 * huge_page ? huge_page : page;
}

// Rounded up to an eighth of its leading power of two, but whole pages: few classes, little lost.
std::size_t size_class(std::size_t bytes) {
  const std::size_t unit = std::max(alignment(bytes), std::bit_floor(bytes) / 8);
  return (bytes + unit - 1) / unit * unit;
}

// Large blocks lie in huge pages where the system has them: contraction walks rows that are far
// apart, and with small pages address translation costs a third of its time.
void* allocate_pages(std::size_t bytes) {
  void* pointer = std::aligned_alloc(alignment(bytes), bytes);
#ifdef MADV_HUGEPAGE
  if (pointer != nullptr && alignment(bytes) == huge_page) madvise(pointer, bytes, MADV_HUGEPAGE);
#endif
  return pointer;
}

}  // namespace

MemoryPool::~MemoryPool() {
  drop_free_blocks();
  for (auto& [pointer, size] : used_) std::free(pointer);
}

void MemoryPool::drop_free_blocks() {
  for (auto& [size, blocks] : free_) {
    for (void* block : blocks) std::free(block);
    held_ -= size * blocks.size();
  }
  free_.clear();
}

void* MemoryPool::allocate(std::size_t bytes) {
  const std::size_t size = size_class(bytes);
  if (auto found = free_.find(size); found != free_.end() && !found->second.empty()) {
    void* pointer = found->second.back();
    found->second.pop_back();
    used_[pointer] = size;
    return pointer;
  }
  if (limit_ > 0 && held_ + size > limit_) drop_free_blocks();
  void* pointer = nullptr;
  if (limit_ == 0 || held_ + size <= limit_) pointer = allocate_pages(size);
  require(pointer != nullptr, ExitCode::resources,
          "out of memory: {:.2f} GiB in use, {:.2f} GiB more asked for (limit of this rank {}) "
          "raise kernel.memory_gib, or lower kernel.tile_samples, or use fewer ranks a node",
          static_cast<double>(held_) / (1 << 30), static_cast<double>(size) / (1 << 30),
          limit_ == 0 ? std::string("none")
                      : fmt::format("{:.2f} GiB", static_cast<double>(limit_) / (1 << 30)));
  held_ += size;
  peak_ = std::max(peak_, held_);
  used_[pointer] = size;
  return pointer;
}

void MemoryPool::release(void* pointer) {
  const auto found = used_.find(pointer);
  ensure(found != used_.end(), "release of a block the pool does not know");
  free_[found->second].push_back(pointer);
  used_.erase(found);
}

}  // namespace ntk::device::cpu
