// Look-ups in normalizer_tables.h, and the Hangul arithmetic of the Unicode Standard, 3.12.
#pragma once

#include <cstdint>
#include <span>

#include "tokenizer/normalize/normalizer_tables.h"

namespace llmcore::tokenizer {

// Bits of CharRecord::flags. A character is safe for a form if the form leaves it alone wherever
// its combining class is in order.
enum CharFlag : std::uint16_t {
  kNfdUnsafe = 1,
  kNfkdUnsafe = 2,
  kNfcUnsafe = 4,
  kNfkcUnsafe = 8,
  kCombiningMark = 16,  // \p{M}, Unicode 9.0
  kBertAccent = 32,     // \p{Mn}, Unicode 8.0
  kBertDropped = 64,    // control, format, private use but tab and line ends; U+FFFD
  kWhiteSpace = 128
};

enum class GraphemeClass : std::uint8_t {
  kOther,
  kJoiner,  // Extend, SpacingMark, ZWJ
  kControl,
  kPrepend,
  kPictograph,
  kL,
  kV,
  kT,
  kLV,
  kLVT
};

namespace hangul {
inline constexpr std::uint32_t kSyllable = 0xAC00, kL = 0x1100, kV = 0x1161, kT = 0x11A7;
inline constexpr std::uint32_t kNumV = 21, kNumT = 28, kNumSyllables = 19 * kNumV * kNumT;
}  // namespace hangul

inline const CharRecord& char_record(std::uint32_t c) {
  return kCharRecord[kCharKind[kCharKindBlock[c >> 7] << 7 | (c & 127)]];
}

// Full decomposition, canonical or for compatibility; empty if there is none. Not for Hangul.
inline std::span<const std::uint32_t> decomposition(std::uint32_t c, bool compatible) {
  const unsigned kind = kDecompositionKind[kDecompositionKindBlock[c >> 7] << 7 | (c & 127)];
  const std::uint32_t* entry = kDecompositionPool + kDecompositionPlace[kind][compatible];
  return {entry + 1, *entry};
}

// The primary composite of two characters, or 0.
inline std::uint32_t compose_pair(std::uint32_t first, std::uint32_t second) {
  using namespace hangul;
  if (first - kL < 19 && second - kV < kNumV) {
    return kSyllable + ((first - kL) * kNumV + (second - kV)) * kNumT;
  }
  const bool is_lv = first - kSyllable < kNumSyllables && (first - kSyllable) % kNumT == 0;
  if (is_lv && second - kT - 1 < kNumT - 1) return first + (second - kT);
  const std::uint64_t key = std::uint64_t{first} << 21 | second;
  for (std::uint32_t at = first * 31 + second * 1009;; ++at) {
    const std::uint64_t slot = kComposition[at % 2048];
    if (slot >> 21 == key) return static_cast<std::uint32_t>(slot & 0x1FFFFF);
    if (slot == 0) return 0;
  }
}

// Lower case of every character but U+0130, whose lower case is "i" U+0307.
inline std::uint32_t lower_case(std::uint32_t c) {
  const unsigned kind = kLowerKind[kLowerKindBlock[c >> 7] << 7 | (c & 127)];
  return c + static_cast<std::uint32_t>(kLowerDelta[kind]);
}
inline constexpr std::uint32_t kCapitalIWithDot = 0x130;

}  // namespace llmcore::tokenizer
