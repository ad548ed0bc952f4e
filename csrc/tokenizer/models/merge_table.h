// Hash table from a pair of token ids to the rank of their merge: one 64-bit word per entry
// (21 + 21 bits of ids, 22 bits of rank), open addressing, at most half full.
#pragma once

#include <bit>
#include <cstdint>
#include <utility>

#include "tokenizer/models/bpe_memory.h"

namespace llmcore::tokenizer {

inline constexpr std::uint32_t kMaxTokens = 1u << 21;
inline constexpr std::uint32_t kMaxMerges = (1u << 22) - 1;
inline constexpr std::uint32_t kNoRank = ~0u;

class MergeTable {
 public:
  void reserve(std::size_t num_merges) {
    const std::size_t capacity = std::bit_ceil(num_merges * 2 + 16);
    slots_ = make_slots(capacity);
    mask_ = capacity - 1;
    shift_ = 64 - static_cast<unsigned>(std::countr_zero(capacity));
  }

  // A later rank of the same pair replaces the earlier one.
  void insert(std::uint32_t left, std::uint32_t right, std::uint32_t rank) {
    if (2 * size_ > mask_) grow();
    size_ += put(key_of(left, right) << 22 | rank);
  }

  std::uint32_t find(std::uint32_t left, std::uint32_t right) const {
    const std::uint64_t key = key_of(left, right);
    std::size_t i = home(key);
    for (;;) {
      const std::uint64_t slot = slots_[i];
      if (slot >> 22 == key) return static_cast<std::uint32_t>(slot & kMaxMerges);
      if (slot == kEmpty) return kNoRank;
      i = (i + 1) & mask_;
    }
  }

  // Fetches what find() will read.
  void prefetch(std::uint32_t left, std::uint32_t right) const {
    __builtin_prefetch(&slots_[home(key_of(left, right))]);
  }

 private:
  static constexpr std::uint64_t kEmpty = ~0ull;

  static std::uint64_t key_of(std::uint32_t left, std::uint32_t right) {
    return static_cast<std::uint64_t>(left) << 21 | right;
  }
  std::size_t home(std::uint64_t key) const {
    return static_cast<std::size_t>(key * 0x9E3779B97F4A7C15ull >> shift_);
  }

  // True if the pair is new.
  bool put(std::uint64_t entry) {
    std::size_t i = home(entry >> 22);
    while (slots_[i] != kEmpty && (slots_[i] ^ entry) >> 22 != 0) i = (i + 1) & mask_;
    const bool is_new = slots_[i] == kEmpty;
    slots_[i] = entry;
    return is_new;
  }
  void grow() {
    const HugeArray<std::uint64_t> old = std::exchange(slots_, make_slots(2 * (mask_ + 1)));
    const std::size_t num_old = mask_ + 1;
    mask_ = 2 * num_old - 1;
    --shift_;
    for (std::size_t i = 0; i < num_old; ++i) {
      if (old[i] != kEmpty) put(old[i]);
    }
  }
  static HugeArray<std::uint64_t> make_slots(std::size_t count) {
    static_assert(kEmpty == ~0ull);
    return make_huge_array<std::uint64_t>(count, 0xFF);
  }

  HugeArray<std::uint64_t> slots_ = make_slots(16);
  std::size_t mask_ = 15;
  std::size_t size_ = 0;
  unsigned shift_ = 60;
};

}  // namespace llmcore::tokenizer
