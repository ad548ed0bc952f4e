// The known patterns character by character: next_piece<K>(p, end) gives the end of the piece that
// starts at p. No state, no backtracking beyond the current run; pattern texts in
// known_pattern.cpp.
#pragma once

#include <cstdint>

#include "tokenizer/split/char_traits.h"
#include "tokenizer/split/gpt2_scanner.h"
#include "tokenizer/split/known_pattern.h"

namespace llmcore::tokenizer {

namespace detail {

using Bytes = const std::uint8_t*;

// End of the run of characters that have any of `traits`.
inline Bytes skip_traits(Bytes p, Bytes end, Traits traits) {
  while (p < end) {
    const Char c = read_char(p, end);
    if (!c.is(traits)) return p;
    p += c.length;
  }
  return p;
}

inline Bytes skip_letters(Bytes p, Bytes end) {
  return skip_traits(skip_ascii_letters(p, end), end, kIsLetter);
}

inline Bytes skip_numbers(Bytes p, Bytes end, unsigned most) {
  for (unsigned i = 0; i < most && p < end; ++i) {
    const Char c = read_char(p, end);
    if (!c.is(kIsNumber)) return p;
    p += c.length;
  }
  return p;
}

// [^\s\p{L}\p{N}]+
inline Bytes skip_symbols(Bytes p, Bytes end) {
  while (p < end) {
    const Char c = read_char(p, end);
    if (c.is(kIsSpace | kIsLetter | kIsNumber)) return p;
    p += c.length;
  }
  return p;
}

inline bool is_newline(std::uint8_t byte) {
  return byte == '\n' || byte == '\r';
}

inline Bytes skip_newlines(Bytes p, Bytes end) {
  while (p < end && is_newline(*p)) ++p;
  return p;
}

// (?i:'s|'t|'re|'ve|'m|'ll|'d) at p, or p. U+017F, the long s, folds to s.
inline Bytes skip_folded_contraction(Bytes p, Bytes end) {
  if (end - p < 2 || *p != '\'') return p;
  const unsigned a = p[1] | 0x20u;
  if (p[1] < 0x80 && (a == 's' || a == 't' || a == 'm' || a == 'd')) return p + 2;
  if (end - p < 3) return p;
  if (p[1] == 0xC5 && p[2] == 0xBF) return p + 3;
  if (p[1] >= 0x80 || p[2] >= 0x80) return p;
  const unsigned b = p[2] | 0x20u;
  const bool two = (b == 'e' && (a == 'r' || a == 'v')) || (a == 'l' && b == 'l');
  return two ? p + 3 : p;
}

enum class AtEnd : bool { kSplitAfterNewline, kKeepWhole };

// \s*[\r\n]+|\s+(?!\S)|\s+ on the white space at p. `is_end(q)`: the pattern's text ends at q.
template <AtEnd kAtEnd, class IsEnd>
Bytes skip_white_space(Bytes p, Bytes end, IsEnd&& is_end) {
  Bytes q = p, last = p, newline_end = nullptr;
  bool ended = true;
  while (q < end) {
    const Char c = read_char(q, end);
    if (!c.is(kIsSpace)) {
      ended = is_end(c);
      break;
    }
    last = q;
    q += c.length;
    if (c.is(kIsNewline)) newline_end = q;
  }
  if (kAtEnd == AtEnd::kKeepWhole && ended) return q;
  if (newline_end != nullptr) return newline_end;
  return ended || last == p ? q : last;
}

inline bool never_end(const Char&) {
  return false;
}

template <unsigned kMaxDigits, AtEnd kAtEnd>
Bytes next_cl100k(Bytes p, Bytes end) {
  if (*p == '\'') {
    const Bytes q = skip_folded_contraction(p, end);
    if (q != p) return q;
  }
  const Char first = read_char(p, end);
  const Bytes q = p + first.length;
  if (first.is(kIsLetter)) return skip_letters(q, end);
  if (first.is(kIsNumber)) return skip_numbers(q, end, kMaxDigits - 1);
  Char second;
  if (q < end) second = read_char(q, end);
  if (second.is(kIsLetter) && !first.is(kIsNewline)) return skip_letters(q + second.length, end);
  if (!first.is(kIsSpace)) return skip_newlines(skip_symbols(q, end), end);
  if (*p == ' ' && q < end && !second.is(kIsSpace | kIsLetter | kIsNumber)) {
    return skip_newlines(skip_symbols(q, end), end);
  }
  return skip_white_space<kAtEnd>(p, end, never_end);
}

// [upper]*[lower]+(contraction)?|[upper]+[lower]*(contraction)? at p, or p. `upper` and `lower`
// share Lm, Lo and M; the first alternative gives back upper ones until a shared one is the last.
inline Bytes skip_cased_word(Bytes p, Bytes end) {
  Bytes q = p, shared_end = nullptr;
  while (q < end) {
    const Char c = read_char(q, end);
    if (!c.is(kIsUpper)) {
      if (!c.is(kIsLower)) break;
      return skip_folded_contraction(skip_traits(q + c.length, end, kIsLower), end);
    }
    q += c.length;
    if (c.is(kIsLower)) shared_end = q;
  }
  if (shared_end != nullptr) q = shared_end;
  return q > p ? skip_folded_contraction(q, end) : p;
}

inline Bytes next_o200k(Bytes p, Bytes end) {
  const Char first = read_char(p, end);
  // A mark may be the prefix of a word or its first character; both end in the same place.
  if (first.is(kIsLetter | kIsMark)) return skip_cased_word(p, end);
  const Bytes q = p + first.length;
  if (first.is(kIsNumber)) return skip_numbers(q, end, 2);
  Char second;
  if (q < end) second = read_char(q, end);
  if (second.is(kIsLetter | kIsMark) && !first.is(kIsNewline)) return skip_cased_word(q, end);
  const bool symbols =
      !first.is(kIsSpace) || (*p == ' ' && q < end && !second.is(kIsSpace | kIsLetter | kIsNumber));
  if (!symbols) return skip_white_space<AtEnd::kSplitAfterNewline>(p, end, never_end);
  Bytes r = skip_symbols(q, end);
  while (r < end && (is_newline(*r) || *r == '/')) ++r;
  return r;
}

// [一-龥぀-ゟ゠-ヿ]
inline bool is_deepseek_cjk(std::uint32_t c) {
  return c >= 0x3040 && c <= 0x9FA5 && (c >= 0x4E00 || c <= 0x30FF);
}

// The third pattern sees the stretches between numbers, CJK runs and others apart.
inline bool ends_deepseek_segment(const Char& c, bool cjk) {
  return c.is(kIsNumber) || is_deepseek_cjk(c.code) != cjk;
}

inline Bytes skip_deepseek(Bytes p, Bytes end, Traits traits, bool cjk) {
  while (p < end) {
    const Char c = read_char(p, end);
    if (!c.is(traits) || is_deepseek_cjk(c.code) != cjk) return p;
    p += c.length;
  }
  return p;
}

inline Bytes skip_ascii_word(Bytes p, Bytes end) {
  p = skip_ascii_letters(p, end);
  while (p < end && *p < 0x80 && read_char(p, end).is(kIsLetter)) ++p;
  return p;
}

// Characters that no alternative matches, up to one that does, are a piece too.
inline Bytes skip_deepseek_gap(Bytes p, Bytes end, bool cjk) {
  while (p < end) {
    const Char c = read_char(p, end);
    if (c.traits != 0 || is_deepseek_cjk(c.code) != cjk) return p;
    const Bytes q = p + c.length;
    if (q < end) {
      const Char next = read_char(q, end);
      if (next.is(kIsLetter | kIsMark) && is_deepseek_cjk(next.code) == cjk) return p;
    }
    p = q;
  }
  return p;
}

inline Bytes next_deepseek(Bytes p, Bytes end) {
  constexpr Traits kWord = kIsLetter | kIsMark;
  const Char first = read_char(p, end);
  const Bytes q = p + first.length;
  const bool cjk = is_deepseek_cjk(first.code);
  if (first.is(kIsNumber)) return skip_numbers(q, end, 2);
  if (first.is(kWord)) {
    return skip_deepseek(cjk ? q : skip_ascii_letters(q, end), end, kWord, cjk);
  }
  Char second;
  if (q < end) second = read_char(q, end);
  const bool has_second = q < end && !ends_deepseek_segment(second, cjk);
  if (first.is(kIsPunctuation)) {
    const bool ascii = *p < 0x80 && has_second && second.code < 0x80;
    if (ascii && second.is(kIsLetter)) return skip_ascii_word(q, end);
    const Bytes r = skip_deepseek(q, end, kIsPunctuation, cjk);
    return cjk ? r : skip_newlines(r, end);
  }
  if (has_second && second.is(kWord) && !first.is(kIsNewline)) {
    return skip_deepseek(q + second.length, end, kWord, cjk);
  }
  if (*p == ' ' && has_second && second.is(kIsPunctuation)) {
    return skip_newlines(skip_deepseek(q + second.length, end, kIsPunctuation, false), end);
  }
  if (first.is(kIsSpace)) {
    return skip_white_space<AtEnd::kSplitAfterNewline>(
        p, end, [](const Char& c) { return ends_deepseek_segment(c, false); });
  }
  return skip_deepseek_gap(q, end, cjk);
}

}  // namespace detail

// End of the pre-token that starts at p; p < end.
template <KnownPattern kPattern>
const std::uint8_t* next_piece(const std::uint8_t* p, const std::uint8_t* end) {
  using enum KnownPattern;
  if constexpr (kPattern == kGpt2) {
    return next_piece(p, end);
  } else if constexpr (kPattern == kCl100k) {
    return detail::next_cl100k<3, detail::AtEnd::kKeepWhole>(p, end);
  } else if constexpr (kPattern == kLlama3) {
    return detail::next_cl100k<3, detail::AtEnd::kSplitAfterNewline>(p, end);
  } else if constexpr (kPattern == kQwen2) {
    return detail::next_cl100k<1, detail::AtEnd::kSplitAfterNewline>(p, end);
  } else if constexpr (kPattern == kO200k) {
    return detail::next_o200k(p, end);
  } else {
    return detail::next_deepseek(p, end);
  }
}

}  // namespace llmcore::tokenizer
