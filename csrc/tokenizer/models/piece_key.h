// Packs a pre-token of up to 15 bytes and its length into 16 bytes: equal keys, equal pieces.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>

namespace llmcore::tokenizer {

inline constexpr std::size_t kMaxKeyPiece = 15;

struct PieceKey {
  std::uint64_t low = 0;
  std::uint64_t high = 0;  // the top byte is the length, so a key is never zero

  bool operator==(const PieceKey&) const = default;
  std::uint64_t hash() const {
    std::uint64_t h = (low ^ (high * 0x9E3779B97F4A7C15ull)) * 0xD6E8FEB86659FD93ull;
    return h ^ (h >> 32);
  }
};

namespace detail {

struct KeyMask {
  std::uint64_t low, high, size;
};

constexpr auto make_key_masks() {
  std::array<KeyMask, kMaxKeyPiece + 2> masks{};
  for (std::uint64_t n = 0; n <= kMaxKeyPiece; ++n) {
    masks[n].low = n >= 8 ? ~0ull : (1ull << (8 * n)) - 1;
    masks[n].high = n <= 8 ? 0 : (1ull << (8 * (n - 8))) - 1;
    masks[n].size = n << 56;
  }
  return masks;
}

inline constexpr auto kKeyMasks = make_key_masks();

}  // namespace detail

// `end` bounds the readable bytes after p; size >= 1. Longer pieces than kMaxKeyPiece all have the
// key zero.
inline PieceKey make_piece_key(const std::uint8_t* p, std::size_t size, const std::uint8_t* end) {
  const detail::KeyMask& mask = detail::kKeyMasks[std::min(size, kMaxKeyPiece + 1)];
  PieceKey key;
  if (end - p >= 16) [[likely]] {
    std::memcpy(&key.low, p, 8);
    std::memcpy(&key.high, p + 8, 8);
  } else {
    std::uint8_t padded[16] = {};
    std::memcpy(padded, p, std::min<std::size_t>(size, 16));
    std::memcpy(&key.low, padded, 8);
    std::memcpy(&key.high, padded + 8, 8);
  }
  key.low &= mask.low;
  key.high = (key.high & mask.high) | mask.size;
  return key;
}

// Hash of a piece of any length.
inline std::uint64_t hash_bytes(const std::uint8_t* p, std::size_t size) {
  std::uint64_t h = size * 0x9E3779B97F4A7C15ull;
  std::uint64_t word = 0;
  for (; size >= 8; p += 8, size -= 8) {
    std::memcpy(&word, p, 8);
    h = (h ^ word) * 0xD6E8FEB86659FD93ull;
    h ^= h >> 32;
  }
  word = 0;
  if (size > 0) std::memcpy(&word, p, size);
  h = (h ^ word) * 0xD6E8FEB86659FD93ull;
  return h ^ (h >> 32);
}

}  // namespace llmcore::tokenizer
