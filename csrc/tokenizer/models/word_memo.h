// One thread's memory of the Unigram words seen: most text is a few thousand words over and over.
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <cstring>
#include <utility>

#include "tokenizer/models/bpe_memory.h"

namespace llmcore::tokenizer {

// Words of fewer than 8 * kNumWords bytes. An entry of the short table is half a cache line.
template <std::size_t kNumWords, std::size_t kNumIds>
class WordMemo {
 public:
  static constexpr std::size_t kMaxWord = 8 * kNumWords - 1;
  static constexpr std::size_t kMaxIds = kNumIds;
  using Ids = std::array<std::uint32_t, kNumIds>;

  // The bytes of a word, zero-padded, and its length in the last byte: equal keys, equal words.
  using Key = std::array<std::uint64_t, kNumWords>;

  class Entry {
   public:
    Key key{};
    Ids ids{};

    // The ids hold while the absolute score of the path before the word is below this; negative
    // where they are too many to be kept.
    float limit() const { return std::bit_cast<float>(limit_and_count_ & ~kCountMask); }
    std::size_t count() const { return limit_and_count_ & kCountMask; }
    // Rounds the limit in its last four bits.
    void set(float limit, std::size_t count) {
      limit_and_count_ =
          (std::bit_cast<std::uint32_t>(limit) & ~kCountMask) | static_cast<std::uint32_t>(count);
    }

   private:
    static constexpr std::uint32_t kCountMask = 15;
    std::uint32_t limit_and_count_ = 0;
  };

  WordMemo() : buckets_(make_huge_array<Bucket>(kMinBuckets)), size_(kMinBuckets) {}

  // `end` bounds the readable bytes after p; 1 <= size <= kMaxWord.
  static Key make_key(const std::uint8_t* p, std::size_t size, const std::uint8_t* end) {
    static constexpr auto kMasks = [] {
      std::array<std::uint8_t, 16 * kNumWords> masks{};
      for (std::size_t i = 0; i < 8 * kNumWords; ++i) masks[i] = 0xFF;
      return masks;
    }();
    Key key{}, mask;
    if (end - p >= static_cast<std::ptrdiff_t>(sizeof key)) {
      std::memcpy(key.data(), p, sizeof key);
      std::memcpy(mask.data(), kMasks.data() + sizeof key - size, sizeof key);
      for (std::size_t i = 0; i < kNumWords; ++i) key[i] &= mask[i];
    } else {
      std::memcpy(key.data(), p, size);
    }
    key.back() |= static_cast<std::uint64_t>(size) << 56;
    return key;
  }

  static std::uint64_t hash(const Key& key) {
    std::uint64_t h = 0;
    for (const std::uint64_t word : key) {
      h = (h ^ word) * 0xD6E8FEB86659FD93ull;
      h ^= h >> 32;
    }
    return h;
  }

  // Asks for the entries that find() will read: many look-ups miss the first caches.
  void prefetch(std::uint64_t hash) const { __builtin_prefetch(&buckets_[home(hash)]); }

  // The entry of a key or null.
  const Entry* find(const Key& key, std::uint64_t hash) const {
    const Bucket& bucket = buckets_[home(hash)];
    if (is_equal(bucket.newer.key, key)) return &bucket.newer;
    return is_equal(bucket.older.key, key) ? &bucket.older : nullptr;
  }

  // Where a new entry of this key goes; the older of its bucket makes room.
  Entry& claim(const Key& key) {
    if (++num_claimed_ > size_ && size_ < kMaxBuckets) grow();
    return place(key);
  }

 private:
  struct alignas(64) Bucket {
    Entry newer, older;
  };
  // Small at first: a short text should not pay for an empty table.
  static constexpr std::size_t kMinBuckets = 1 << 7, kMaxBuckets = 1 << 17;

  static bool is_equal(const Key& a, const Key& b) {
    std::uint64_t difference = 0;
    for (std::size_t i = 0; i < kNumWords; ++i) difference |= a[i] ^ b[i];
    return difference == 0;
  }
  std::size_t home(std::uint64_t hash) const { return hash & (size_ - 1); }

  Entry& place(const Key& key) {
    Bucket& bucket = buckets_[home(hash(key))];
    bucket.older = bucket.newer;
    bucket.newer.key = key;
    return bucket.newer;
  }

  void grow() {
    const std::size_t old_size = std::exchange(size_, size_ * 4);
    const HugeArray<Bucket> old = std::exchange(buckets_, make_huge_array<Bucket>(size_));
    for (std::size_t i = 0; i < old_size; ++i) {
      const Bucket& bucket = old[i];
      if (bucket.older.key.back() != 0) place(bucket.older.key) = bucket.older;
      if (bucket.newer.key.back() != 0) place(bucket.newer.key) = bucket.newer;
    }
  }

  HugeArray<Bucket> buckets_;
  std::size_t size_;
  std::size_t num_claimed_ = 0;
};

using ShortMemo = WordMemo<2, 3>;
using LongMemo = WordMemo<3, 9>;

}  // namespace llmcore::tokenizer
