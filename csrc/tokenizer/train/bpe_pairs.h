// How often each pair of neighbouring symbols stands in the text.
#pragma once

#include <bit>
#include <cstdint>
#include <vector>

#include "tokenizer/train/chunked_array.h"

namespace llmcore::tokenizer {

inline std::uint64_t pair_of(std::uint32_t left, std::uint32_t right) {
  return static_cast<std::uint64_t>(left) << 32 | right;
}
inline std::uint32_t left_of(std::uint64_t pair) {
  return static_cast<std::uint32_t>(pair >> 32);
}
inline std::uint32_t right_of(std::uint64_t pair) {
  return static_cast<std::uint32_t>(pair);
}

struct PairInfo {
  std::uint64_t pair;
  std::int64_t count;
  std::uint32_t live_lists;  // lists of places that wait to be merged
  std::uint32_t single;      // the only place of a pair that waits outside the queue; else 0
};

// Pair -> index of its PairInfo.
class PairTable {
 public:
  PairTable() : slots_(1 << 12, 0) {}

  std::uint32_t find_or_add(std::uint64_t pair) {
    if ((infos.size() + std::size_t{1}) * 4 > slots_.size() * 3) grow();
    std::size_t i = home(pair);
    while (slots_[i] != 0) {
      if (infos[slots_[i] - 1].pair == pair) return slots_[i] - 1;
      i = (i + 1) & (slots_.size() - 1);
    }
    const std::uint32_t info = infos.extend(1);
    infos[info] = {pair, 0, 0, 0};
    slots_[i] = info + 1;
    return info;
  }

  ChunkedArray<PairInfo> infos;

 private:
  std::size_t home(std::uint64_t pair) const {
    const std::uint64_t h = (pair ^ pair >> 29) * 0x9E3779B97F4A7C15ull;
    return static_cast<std::size_t>(h >> (64 - std::countr_zero(slots_.size())));
  }
  void grow() {
    slots_.assign(slots_.size() * 2, 0);
    for (std::uint32_t n = 0; n < infos.size(); ++n) {
      std::size_t i = home(infos[n].pair);
      while (slots_[i] != 0) i = (i + 1) & (slots_.size() - 1);
      slots_[i] = n + 1;
    }
  }
  std::vector<std::uint32_t> slots_;
};

}  // namespace llmcore::tokenizer
