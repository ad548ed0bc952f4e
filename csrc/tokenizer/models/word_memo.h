// One thread's memory of the Unigram words seen: most text is a few thousand words over and over.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <utility>
#include <vector>

namespace llmcore::tokenizer {

class WordMemo {
 public:
  static constexpr std::size_t kMaxWord = 23;
  static constexpr std::size_t kMaxIds = 8;

  // The bytes of a word, zero-padded, and its length in the last byte: equal keys, equal words.
  struct Key {
    std::array<std::uint64_t, 3> words{};
    bool operator==(const Key& other) const {
      return ((words[0] ^ other.words[0]) | (words[1] ^ other.words[1]) |
              (words[2] ^ other.words[2])) == 0;
    }
    std::uint64_t hash() const {
      std::uint64_t h = (words[0] ^ words[2] * 0x9E3779B97F4A7C15ull) * 0xD6E8FEB86659FD93ull;
      h = (h ^ h >> 32 ^ words[1]) * 0x9E3779B97F4A7C15ull;
      return h ^ h >> 29;
    }
  };

  struct alignas(64) Entry {
    Key key;
    // The ids hold while the absolute score of the path before the word is below this.
    float limit = -1;
    std::uint32_t count = 0;
    std::array<std::uint32_t, kMaxIds> ids{};
  };

  WordMemo() : entries_(kMinEntries) {}

  // `end` bounds the readable bytes after p; 1 <= size <= kMaxWord.
  static Key make_key(const std::uint8_t* p, std::size_t size, const std::uint8_t* end) {
    static constexpr auto kMasks = [] {
      std::array<std::uint8_t, 48> masks{};
      for (std::size_t i = 0; i < 24; ++i) masks[i] = 0xFF;
      return masks;
    }();
    Key key, mask;
    if (end - p >= 24) {
      std::memcpy(key.words.data(), p, 24);
      std::memcpy(mask.words.data(), kMasks.data() + 24 - size, 24);
      for (std::size_t i = 0; i < 3; ++i) key.words[i] &= mask.words[i];
    } else {
      std::memcpy(key.words.data(), p, size);
    }
    key.words[2] |= static_cast<std::uint64_t>(size) << 56;
    return key;
  }

  // Asks for the entries that find() will read: most look-ups miss the first caches.
  void prefetch(std::uint64_t hash) const {
    const Entry* entry = &entries_[home(hash)];
    __builtin_prefetch(entry);
    __builtin_prefetch(entry + 1);
  }

  // The entry of a key or null. Two neighbours share a home.
  const Entry* find(const Key& key, std::uint64_t hash) const {
    const Entry* entry = &entries_[home(hash)];
    if (entry->key == key) return entry;
    ++entry;
    return entry->key == key ? entry : nullptr;
  }

  // Where a new entry of this key goes; the older neighbour makes room.
  Entry& claim(const Key& key) {
    if (++num_claimed_ > entries_.size() / 2 && entries_.size() < kMaxEntries) grow();
    return place(key);
  }

 private:
  // Small at first: a short text should not pay for an empty table.
  static constexpr std::size_t kMinEntries = 1 << 8, kMaxEntries = 1 << 16;

  std::size_t home(std::uint64_t hash) const { return (hash & (entries_.size() / 2 - 1)) * 2; }

  Entry& place(const Key& key) {
    Entry* entry = &entries_[home(key.hash())];
    entry[1] = entry[0];
    entry->key = key;
    return *entry;
  }

  void grow() {
    const std::vector<Entry> old = std::exchange(entries_, std::vector<Entry>(entries_.size() * 4));
    for (const Entry& entry : old) {
      if (entry.key.words[2] != 0) place(entry.key) = entry;
    }
  }

  std::vector<Entry> entries_;
  std::size_t num_claimed_ = 0;
};

}  // namespace llmcore::tokenizer
