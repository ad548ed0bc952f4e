// Sixty-four bytes at once: the classes of the bytes as bit masks, and from them, by shifts and
// adds, the bits where pieces start. Only ASCII; anything else is left to word_scanners.h.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstring>

#include "tokenizer/split/known_pattern.h"
#include "tokenizer/split/word_scanners.h"

namespace llmcore::tokenizer::detail {

inline constexpr unsigned kBlockBytes = 64;
using Mask = std::uint64_t;

#if defined(__SSE2__)
inline constexpr bool kHasBlocks = true;

// Bytes of [first, first + count) in v, ASCII or not; count < 128.
inline __m128i bytes_in_range(__m128i v, int first, int count) {
  const __m128i shifted = _mm_add_epi8(v, _mm_set1_epi8(static_cast<char>(0x80 - first)));
  return _mm_cmplt_epi8(shifted, _mm_set1_epi8(static_cast<char>(0x80 + count)));
}

inline __m128i bytes_equal(__m128i v, char c) {
  return _mm_cmpeq_epi8(v, _mm_set1_epi8(c));
}

struct Block {
  __m128i v[4];

  explicit Block(Bytes p) {
    for (int i = 0; i < 4; ++i) {
      v[i] = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p + 16 * i));
    }
  }
  template <class Test>
  Mask mask(Test&& test) const {
    Mask result = 0;
    for (int i = 3; i >= 0; --i) {
      result = result << 16 | static_cast<unsigned>(_mm_movemask_epi8(test(v[i])));
    }
    return result;
  }
  Mask non_ascii() const {
    return mask([](__m128i x) { return x; });
  }
  Mask equal(char c) const {
    return mask([c](__m128i x) { return bytes_equal(x, c); });
  }
  Mask range(int first, int count) const {
    return mask([=](__m128i x) { return bytes_in_range(x, first, count); });
  }
  Mask letters() const {
    return mask(
        [](__m128i x) { return bytes_in_range(_mm_or_si128(x, _mm_set1_epi8(0x20)), 'a', 26); });
  }
  Mask newlines() const {
    return mask([](__m128i x) { return _mm_or_si128(bytes_equal(x, '\n'), bytes_equal(x, '\r')); });
  }
};
#else
inline constexpr bool kHasBlocks = false;

struct Block {
  explicit Block(Bytes) {}
  Mask non_ascii() const { return ~Mask{0}; }
  Mask equal(char) const { return 0; }
  Mask range(int, int) const { return 0; }
  Mask letters() const { return 0; }
  Mask newlines() const { return 0; }
};
#endif

struct BlockClasses {
  Mask letters, digits, spaces, blank, others;  // blank: U+0020 alone
};

// Runs of digits in groups of three.
inline Mask digit_group_starts(Mask digits) {
  Mask starts = digits & ~(digits << 1);
  const Mask fourth = digits & digits << 1 & digits << 2 & digits << 3;
  for (Mask group = starts << 3 & fourth; group != 0; group = group << 3 & fourth) starts |= group;
  return starts;
}

// Starts within white space for \s*[\r\n]+|\s+(?!\S)|\s+, where newlines in `covered` belong to the
// symbols before them. `stops`: characters before which \s+(?!\S) takes the whole run.
inline Mask space_starts(const BlockClasses& c, Mask newlines, Mask covered, Mask stops) {
  const Mask spaces = c.spaces & ~covered;
  const Mask rest = c.spaces & ~newlines;
  Mask after_newline = rest & (newlines & ~covered) << 1;
  // Those that run into another newline are inside its piece; adding carries to their ends.
  for (Mask ends = (rest + after_newline) & ~rest & newlines; ends != 0; ends &= ends - 1) {
    const Mask before = after_newline & ((ends & -ends) - 1);
    after_newline &= ~std::bit_floor(before);
  }
  const Mask last = rest & ~(c.spaces >> 1) & ~(stops >> 1);
  return (spaces & ~(spaces << 1)) | after_newline | last;
}

inline Mask bits_up_to(unsigned bit) {
  return (Mask{2} << bit) - 1;
}

struct BlockStarts {
  Mask starts = 0;
  unsigned limit = 0;  // bits above it are not to be trusted
};

// 's 't 're ...: an apostrophe that starts a piece takes two or three bytes.
template <bool kFolded>
void add_contractions(Bytes p, unsigned known, Mask apostrophes, BlockStarts& s) {
  for (; apostrophes != 0; apostrophes &= apostrophes - 1) {
    const auto i = static_cast<unsigned>(std::countr_zero(apostrophes));
    if (i + 2 >= known) {
      s.limit = std::min(s.limit, i);
      return;
    }
    const Bytes at = p + i;
    const Bytes q =
        kFolded ? skip_folded_contraction(at, p + known) : skip_contraction(at, p + known);
    const auto n = static_cast<unsigned>(q - at);
    if (n == 0) continue;
    s.starts &= ~((bits_up_to(n - 1) & ~Mask{1}) << i);
    if (i + n < kBlockBytes) s.starts |= Mask{1} << (i + n);
  }
}

// The same as the end of a word; the apostrophes follow a letter.
inline void join_contractions(Bytes p, unsigned known, Mask apostrophes, BlockStarts& s) {
  unsigned taken_end = 0;
  for (; apostrophes != 0; apostrophes &= apostrophes - 1) {
    const auto i = static_cast<unsigned>(std::countr_zero(apostrophes));
    if (i + 2 >= known) {
      s.limit = std::min(s.limit, i - 1);
      return;
    }
    if (i == taken_end) continue;
    const auto n = static_cast<unsigned>(skip_folded_contraction(p + i, p + known) - (p + i));
    if (n == 0) continue;
    taken_end = i + n;
    s.starts &= ~(bits_up_to(n - 1) << i);
    if (taken_end < kBlockBytes) s.starts |= Mask{1} << taken_end;
  }
}

// Newlines right after symbols, which take them along.
inline Mask covered_newlines(Mask others, Mask newlines) {
  const Mask first = others << 1 & newlines;
  return newlines & ~(newlines + first);
}

template <KnownPattern kPattern>
BlockStarts find_starts(const Block& block, Bytes p, unsigned known, const BlockClasses& c) {
  using enum KnownPattern;
  BlockStarts s{0, known - 1};
  const Mask joined = kPattern == kGpt2 ? c.blank << 1 : 0;
  const Mask other_starts = c.others & ~(c.others << 1) & ~(c.blank << 1);
  if constexpr (kPattern == kGpt2) {
    const Mask in_word = c.letters & ~(c.letters << 1) & ~joined;
    const Mask in_number = c.digits & ~(c.digits << 1) & ~joined;
    const Mask in_space = (c.spaces & ~(c.spaces << 1)) | (c.spaces & ~(c.spaces >> 1));
    s.starts = in_word | in_number | in_space | other_starts;
  } else {
    const Mask newlines = block.newlines();
    const Mask covered = covered_newlines(c.others, newlines);
    const Mask prefixes = (c.spaces & ~newlines) | other_starts;
    const Mask words = c.letters & ~(c.letters << 1) & ~(prefixes << 1);
    const Mask digits = kPattern == kQwen2 ? c.digits : digit_group_starts(c.digits);
    const Mask stops = kPattern == kDeepSeekV3 ? c.digits : 0;
    s.starts = words | digits | other_starts | space_starts(c, newlines, covered, stops);
    if constexpr (kPattern == kO200k) {
      const Mask upper = block.range('A', 26);
      s.starts |= upper & (c.letters & ~upper) << 1;
      // [\r\n/]* after symbols may go on with a slash, after which a symbol starts a piece.
      const Mask slashes = covered << 1 & c.others & block.equal('/');
      if (slashes != 0) s.limit = static_cast<unsigned>(std::countr_zero(slashes)) - 1;
    }
  }
  if constexpr (kPattern == kO200k) {
    const Mask apostrophes = c.others & c.letters << 1 & block.equal('\'');
    if (apostrophes != 0) join_contractions(p, known, apostrophes, s);
  } else if constexpr (kPattern != kDeepSeekV3) {
    const Mask apostrophes = other_starts & block.equal('\'');
    if (apostrophes != 0) add_contractions<kPattern != kGpt2>(p, known, apostrophes, s);
  }
  return s;
}

// Bit i: a piece starts at p + i, for p at the start of one and 64 bytes there. Bit 0 is set; bits
// after the last certain one are clear.
template <KnownPattern kPattern>
Mask block_starts(Bytes p) {
  std::uint32_t front = 0;
  std::memcpy(&front, p, 4);
  if ((front & 0x80808080) != 0) return 1;  // text beyond ASCII should not pay for the block
  const Block block(p);
  Mask foreign = block.non_ascii();
  if constexpr (kPattern == KnownPattern::kDeepSeekV3) {
    // Control characters, of which some other alternatives make gaps.
    foreign |= block.range(0, 9) | block.range(14, 18) | block.equal('\x7F');
  }
  const auto known = static_cast<unsigned>(std::countr_zero(foreign));
  if (known < 4) return 1;
  const Mask valid = bits_up_to(known - 1);
  BlockClasses c;
  c.letters = block.letters() & valid;
  c.digits = block.range('0', 10) & valid;
  c.blank = block.equal(' ') & valid;
  c.spaces = (c.blank | block.range('\t', 5)) & valid;
  c.others = valid & ~(c.letters | c.digits | c.spaces);
  BlockStarts s = find_starts<kPattern>(block, p, known, c);
  // White space at the end of the block may go on.
  const Mask solid = valid & ~c.spaces;
  if (solid == 0) return 1;
  s.limit = std::min(s.limit, static_cast<unsigned>(std::bit_width(solid)));
  return (s.starts & bits_up_to(s.limit)) | 1;
}

}  // namespace llmcore::tokenizer::detail
