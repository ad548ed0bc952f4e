// A pre-token as sixteen bytes: up to 15 bytes and their number, so that equal keys are equal
// pieces; of a longer one a hash.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>

namespace llmcore::tokenizer {

inline constexpr std::size_t kMaxKeyPiece = 15;

struct PieceKey {
  std::uint64_t low = 0;
  std::uint64_t high = 0;  // the top byte is the length, or 255 for a longer piece: never zero

  bool operator==(const PieceKey& o) const { return ((low ^ o.low) | (high ^ o.high)) == 0; }
  bool is_long() const { return high >> 56 == 0xFF; }
  std::uint64_t hash() const {
    // Both halves of the product, since its low half alone hardly knows the last bytes of `low`.
    __extension__ using Wide = unsigned __int128;
    const Wide product = static_cast<Wide>(low ^ 0x9E3779B97F4A7C15ull) *
                         static_cast<Wide>(high ^ 0xD6E8FEB86659FD93ull);
    return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
  }
};

namespace detail {

struct KeyMask {
  std::uint64_t low, high, size;
};

constexpr auto make_key_masks() {
  std::array<KeyMask, kMaxKeyPiece + 1> masks{};
  for (std::uint64_t n = 0; n <= kMaxKeyPiece; ++n) {
    masks[n].low = n >= 8 ? ~0ull : (1ull << (8 * n)) - 1;
    masks[n].high = n <= 8 ? 0 : (1ull << (8 * (n - 8))) - 1;
    masks[n].size = n << 56;
  }
  return masks;
}

inline constexpr auto kKeyMasks = make_key_masks();

}  // namespace detail

// Of a piece of 16 bytes or more: 120 bits of hash, so equal keys are only very likely equal
// pieces.
inline PieceKey make_long_key(const std::uint8_t* p, std::size_t size) {
  std::uint64_t a = size * 0x9E3779B97F4A7C15ull, b = ~a;
  const auto mix = [&](std::size_t i) {
    std::uint64_t w[2];
    std::memcpy(w, p + i, 16);
    a = (a ^ w[0]) * 0xD6E8FEB86659FD93ull;
    b = (b ^ w[1]) * 0xA0761D6478BD642Full;
    a ^= b >> 29;
    b ^= a >> 32;
  };
  for (std::size_t i = 0; i + 16 < size; i += 16) mix(i);
  mix(size - 16);
  return {a, b | 0xFFull << 56};
}

// `end` bounds the readable bytes after p; size >= 1.
inline PieceKey make_piece_key(const std::uint8_t* p, std::size_t size, const std::uint8_t* end) {
  if (size > kMaxKeyPiece) return make_long_key(p, size);
  const detail::KeyMask& mask = detail::kKeyMasks[size];
  PieceKey key;
  if (end - p >= 16) [[likely]] {
    std::memcpy(&key.low, p, 8);
    std::memcpy(&key.high, p + 8, 8);
  } else {
    std::uint8_t padded[16] = {};
    std::memcpy(padded, p, size);
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
