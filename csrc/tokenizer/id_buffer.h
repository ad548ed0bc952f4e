// A growing array of ids that never writes memory it does not need: no zero fill, tail first.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <memory>

namespace llmcore::tokenizer {

class IdBuffer {
 public:
  // Room for `count` more ids, at the place where the next id belongs.
  std::uint32_t* room(std::size_t count) {
    if (capacity_ - size_ < count) grow(std::max(capacity_ * 2, size_ + count));
    return ids_.get() + size_;
  }
  // Counts ids written at room().
  void advance(std::size_t count) { size_ += count; }
  void reserve(std::size_t capacity) {
    if (capacity > capacity_) grow(capacity);
  }

  std::size_t size() const { return size_; }
  const std::uint32_t* data() const { return ids_.get(); }
  // Gives the array away; delete[] it.
  std::uint32_t* release() {
    size_ = capacity_ = 0;
    return ids_.release();
  }

 private:
  void grow(std::size_t capacity) {
    auto larger = std::make_unique_for_overwrite<std::uint32_t[]>(capacity);
    if (size_ > 0) std::memcpy(larger.get(), ids_.get(), size_ * sizeof(std::uint32_t));
    ids_ = std::move(larger);
    capacity_ = capacity;
  }

  std::unique_ptr<std::uint32_t[]> ids_;
  std::size_t size_ = 0, capacity_ = 0;
};

}  // namespace llmcore::tokenizer
