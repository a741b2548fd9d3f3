#include "device/memory_pool.hpp"

#include <algorithm>
#include <bit>

#include "base/error.hpp"

namespace ntk::device {

MemoryPool::~MemoryPool() {
  drop_free_blocks();
  for (auto& [pointer, size] : used_) source_->give_back(pointer);
}

void MemoryPool::drop_free_blocks() {
  for (auto& [size, blocks] : free_) {
    for (void* block : blocks) source_->give_back(block);
    held_ -= size * blocks.size();
  }
  free_.clear();
}

void* MemoryPool::allocate(std::size_t bytes) {
  // Rounded up to an eighth of its leading power of two: few classes, little lost.
  const std::size_t unit = std::max(source_->granularity(bytes), std::bit_floor(bytes) / 8);
  const std::size_t size = (bytes + unit - 1) / unit * unit;
  if (auto found = free_.find(size); found != free_.end() && !found->second.empty()) {
    void* pointer = found->second.back();
    found->second.pop_back();
    used_[pointer] = size;
    in_use_ += size;
    return pointer;
  }
  if (limit_ > 0 && held_ + size > limit_) drop_free_blocks();
  void* pointer = nullptr;
  if (limit_ == 0 || held_ + size <= limit_) {
    pointer = source_->take(size);
    if (pointer == nullptr && !free_.empty()) {
      drop_free_blocks();
      pointer = source_->take(size);
    }
  }
  require(pointer != nullptr, ExitCode::resources,
          "out of memory {}: {:.2f} GiB in use, {:.2f} GiB more asked for (limit {}) raise "
          "kernel.memory_gib, or lower kernel.tile_samples, or use fewer ranks a node",
          source_->owner(), static_cast<double>(held_) / (1 << 30),
          static_cast<double>(size) / (1 << 30),
          limit_ == 0 ? std::string("none")
                      : fmt::format("{:.2f} GiB", static_cast<double>(limit_) / (1 << 30)));
  held_ += size;
  in_use_ += size;
  peak_ = std::max(peak_, held_);
  used_[pointer] = size;
  return pointer;
}

void MemoryPool::release(void* pointer) {
  const auto found = used_.find(pointer);
  ensure(found != used_.end(), "release of a block the pool does not know");
  free_[found->second].push_back(pointer);
  in_use_ -= found->second;
  used_.erase(found);
}

}  // namespace ntk::device
