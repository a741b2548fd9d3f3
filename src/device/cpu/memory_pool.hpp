// Host memory with a hard limit and a peak count. Freed blocks are kept for the next request of
// their size class: the task loop asks for the same sizes again and again, and fresh pages from
// the system cost more than the arithmetic on them.
#pragma once

#include <cstddef>
#include <map>
#include <unordered_map>
#include <vector>

namespace ntk::device::cpu {

class MemoryPool {
 public:
  explicit MemoryPool(std::size_t limit_bytes) : limit_(limit_bytes) {}
  ~MemoryPool();
  MemoryPool(const MemoryPool&) = delete;
  MemoryPool& operator=(const MemoryPool&) = delete;

  // Aligned to 4,096 bytes at least. Error(resources) when the limit or the system's memory does
  // not allow it.
  void* allocate(std::size_t bytes);
  void release(void* pointer);
  std::size_t peak_bytes() const { return peak_; }

 private:
  void drop_free_blocks();

  std::size_t limit_;
  std::size_t held_ = 0;  // in use and kept
  std::size_t peak_ = 0;
  std::map<std::size_t, std::vector<void*>> free_;
  std::unordered_map<void*, std::size_t> used_;
};

}  // namespace ntk::device::cpu
