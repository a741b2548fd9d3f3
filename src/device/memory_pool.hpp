// Memory of a device with a hard limit and a peak count. Freed blocks are kept for the next request
// of their size class: the task loop asks for the same sizes again and again, and fresh memory from
// the system costs more than the arithmetic on it.
#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

namespace ntk::device {

// Where a pool's blocks come from.
class MemorySource {
 public:
  virtual ~MemorySource() = default;
  // Null when there is no more.
  virtual void* take(std::size_t bytes) = 0;
  virtual void give_back(void* pointer) noexcept = 0;
  // Blocks of about `bytes` are multiples of this.
  virtual std::size_t granularity(std::size_t bytes) const = 0;
  // For messages, as in "of this rank" or "of GPU 0".
  virtual std::string owner() const = 0;
};

class MemoryPool {
 public:
  // `limit_bytes` 0 = none.
  MemoryPool(std::unique_ptr<MemorySource> source, std::size_t limit_bytes)
      : source_(std::move(source)), limit_(limit_bytes) {}
  ~MemoryPool();
  MemoryPool(const MemoryPool&) = delete;
  MemoryPool& operator=(const MemoryPool&) = delete;

  // Error(resources) when the limit or the source does not allow it.
  void* allocate(std::size_t bytes);
  void release(void* pointer);
  std::size_t peak_bytes() const { return peak_; }
  std::size_t used_bytes() const { return in_use_; }  // without what is kept for later

 private:
  void drop_free_blocks();

  std::unique_ptr<MemorySource> source_;
  std::size_t limit_;
  std::size_t held_ = 0;  // in use and kept
  std::size_t peak_ = 0;
  std::size_t in_use_ = 0;
  std::map<std::size_t, std::vector<void*>> free_;
  std::unordered_map<void*, std::size_t> used_;
};

}  // namespace ntk::device
