// Which id a text has: a flat table of eight bytes a slot over texts that live elsewhere.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstring>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "tokenizer/models/bpe_memory.h"

namespace llmcore::tokenizer {

// Keyed, so that no file can choose texts that collide. Source: the folded multiply of wyhash.
class TextHash {
 public:
  TextHash() {
    std::random_device device;
    seed_ = (static_cast<std::uint64_t>(device()) << 32 | device()) ^ 0x9E3779B97F4A7C15ull;
  }
  std::uint64_t operator()(std::string_view text) const {
    const char* p = text.data();
    std::size_t left = text.size();
    std::uint64_t h = seed_ ^ left;
    for (; left > 8; p += 8, left -= 8) h = fold(h ^ load(p), seed_ | 1);
    return fold(h ^ load_tail(p, left), seed_ ^ 0xA0761D6478BD642Full);
  }

 private:
  template <typename Word = std::uint64_t>
  static std::uint64_t load(const char* p) {
    Word word = 0;
    std::memcpy(&word, p, sizeof word);
    return word;
  }
  // Up to eight bytes, which with their number this tells; by loads of fixed sizes that overlap.
  static std::uint64_t load_tail(const char* p, std::size_t size) {
    if (size >= 4) return load<std::uint32_t>(p) | load<std::uint32_t>(p + size - 4) << 32;
    if (size >= 2) return load<std::uint16_t>(p) | load<std::uint16_t>(p + size - 2) << 16;
    return size == 0 ? 0 : load<std::uint8_t>(p);
  }
  static std::uint64_t fold(std::uint64_t a, std::uint64_t b) {
    __extension__ using Wide = unsigned __int128;
    const Wide product = static_cast<Wide>(a) * b;
    return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
  }
  std::uint64_t seed_;
};

// `TextOf` gives the text of an id. Ids are those that were inserted.
template <typename TextOf>
class TextIndex {
 public:
  static constexpr std::uint32_t kAbsent = UINT32_MAX;

  TextIndex(std::size_t count, TextOf text_of)
      : text_of_(text_of),
        mask_(std::bit_ceil(count * 2 + 2) - 1),
        slots_(make_huge_array<std::uint64_t>(mask_ + 1, 0xFF)) {}

  // kAbsent, or the id that already has the text, which then keeps it.
  std::uint32_t insert(std::string_view text, std::uint32_t id) {
    return insert(text, id, hash_(text));
  }
  // Inserts the texts of ids 0 to `count`, empty ones left out; the first id whose text an id
  // before it has, or kAbsent.
  std::uint32_t insert_all(std::size_t count) {
    std::uint32_t repeated = kAbsent;
    std::uint64_t hashes[kBatch];
    for (std::size_t begin = 0; begin < count; begin += kBatch) {
      const std::size_t size = std::min(kBatch, count - begin);
      for (std::size_t i = 0; i < size; ++i) {
        hashes[i] = hash_(text_of_(static_cast<std::uint32_t>(begin + i)));
        __builtin_prefetch(&slots_[hashes[i] & mask_]);
      }
      for (std::size_t i = 0; i < size; ++i) {
        const auto id = static_cast<std::uint32_t>(begin + i);
        const std::string_view text = text_of_(id);
        if (text.empty()) continue;
        if (insert(text, id, hashes[i]) != kAbsent) repeated = std::min(repeated, id);
      }
    }
    return repeated;
  }

  std::uint32_t find(std::string_view text) const {
    // An empty slot ends in kAbsent.
    return static_cast<std::uint32_t>(slots_[slot_of(text, hash_(text))]);
  }
  // ids[i] = find(texts[i]), for at most kBatch texts: their memory is fetched together.
  static constexpr std::size_t kBatch = 64;
  void find_batch(const std::string_view* texts, std::size_t size, std::uint32_t* ids) const {
    std::uint64_t hashes[kBatch];
    for (std::size_t i = 0; i < size; ++i) {
      hashes[i] = hash_(texts[i]);
      __builtin_prefetch(&slots_[hashes[i] & mask_]);
    }
    for (std::size_t i = 0; i < size; ++i) {
      const std::uint64_t slot = slots_[hashes[i] & mask_];
      if (slot != kEmpty) text_of_.prefetch(static_cast<std::uint32_t>(slot));
    }
    for (std::size_t i = 0; i < size; ++i) {
      ids[i] = static_cast<std::uint32_t>(slots_[slot_of(texts[i], hashes[i])]);
    }
  }

 private:
  static constexpr std::uint64_t kEmpty = UINT64_MAX;  // all bytes 0xFF
  static constexpr std::uint64_t kTag = 0xFFFFFFFF00000000ull;

  std::uint32_t insert(std::string_view text, std::uint32_t id, std::uint64_t hash) {
    const std::size_t slot = slot_of(text, hash);
    if (slots_[slot] != kEmpty) return static_cast<std::uint32_t>(slots_[slot]);
    slots_[slot] = (hash & kTag) | id;
    return kAbsent;
  }

  std::size_t slot_of(std::string_view text, std::uint64_t hash) const {
    std::size_t slot = hash & mask_;
    while (slots_[slot] != kEmpty && ((slots_[slot] ^ hash) > UINT32_MAX ||
                                      text_of_(static_cast<std::uint32_t>(slots_[slot])) != text)) {
      slot = (slot + 1) & mask_;
    }
    return slot;
  }

  TextHash hash_;
  TextOf text_of_;
  std::size_t mask_;
  HugeArray<std::uint64_t> slots_;
};

// Over the tokens of a vocabulary; empty ones are left out.
struct TokenText {
  const std::vector<std::string>* tokens;
  std::string_view operator()(std::uint32_t id) const { return (*tokens)[id]; }
  void prefetch(std::uint32_t id) const { __builtin_prefetch(&(*tokens)[id]); }
};

class TokenIndex : public TextIndex<TokenText> {
 public:
  explicit TokenIndex(const std::vector<std::string>& tokens)
      : TextIndex(tokens.size(), TokenText{&tokens}) {
    repeated_ = insert_all(tokens.size());
  }
  // Second id of a text that occurs twice, or kAbsent.
  std::uint32_t repeated() const { return repeated_; }

 private:
  std::uint32_t repeated_ = kAbsent;
};

}  // namespace llmcore::tokenizer
