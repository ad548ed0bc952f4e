// An array that grows without moving: no second copy while it grows, and parts may be given back.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

namespace llmcore::tokenizer {

template <class T>
class ChunkedArray {
 public:
  std::uint32_t size() const { return size_; }
  T& operator[](std::uint32_t i) { return chunks_[i >> kBits].items[i & (kChunk - 1)]; }
  const T& operator[](std::uint32_t i) const { return chunks_[i >> kBits].items[i & (kChunk - 1)]; }

  // Room for `count` more, not initialised; returns where it begins.
  std::uint32_t extend(std::uint32_t count) {
    const std::uint32_t begin = size_;
    size_ += count;
    while (std::uint64_t{chunks_.size()} << kBits < size_) {
      chunks_.push_back({std::make_unique_for_overwrite<T[]>(kChunk), kChunk});
    }
    return begin;
  }
  // [begin, begin + count) will not be looked at again.
  void release(std::uint32_t begin, std::uint32_t count) {
    while (count > 0) {
      const std::uint32_t room = kChunk - (begin & (kChunk - 1));
      const std::uint32_t part = count < room ? count : room;
      Chunk& chunk = chunks_[begin >> kBits];
      if ((chunk.num_live -= part) == 0) chunk.items.reset();
      begin += part;
      count -= part;
    }
  }

 private:
  static constexpr unsigned kBits = 14;
  static constexpr std::uint32_t kChunk = 1 << kBits;
  struct Chunk {
    std::unique_ptr<T[]> items;
    std::uint32_t num_live;  // never zero before all of it was given out and released
  };
  std::vector<Chunk> chunks_;
  std::uint32_t size_ = 0;
};

}  // namespace llmcore::tokenizer
