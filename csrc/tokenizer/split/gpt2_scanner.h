// The GPT-2 split pattern as a scanner, one pass, no backtracking:
//
//   's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
//
// A byte that is not part of well-formed UTF-8 counts as one symbol of the third class.
// Source: Radford et al. 2019 (GPT-2), encoder.py.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include "tokenizer/text/unicode_tables.h"
#include "tokenizer/text/utf8.h"

namespace llmcore::tokenizer {

enum CharClass : std::uint8_t { kOther = 0, kLetter = 1, kNumber = 2, kSpace = 3, kNonAscii = 4 };

namespace detail {

constexpr std::array<std::uint8_t, 256> make_byte_classes() {
  std::array<std::uint8_t, 256> table{};
  for (int c = 0; c < 256; ++c) {
    table[c] =
        c < 0x80 ? (kClassBits[kClassBlock[0] * 64 + c / 4] >> (2 * (c % 4))) & 3 : kNonAscii;
  }
  return table;
}

inline constexpr std::array<std::uint8_t, 256> kByteClass = make_byte_classes();

}  // namespace detail

inline CharClass class_of_code_point(std::uint32_t c) {
  const unsigned bits = kClassBits[kClassBlock[c >> 8] * 64 + ((c & 255) >> 2)];
  return static_cast<CharClass>((bits >> (2 * (c & 3))) & 3);
}

// Whether a character of three bytes is at p, as nearly all of Chinese, Japanese and Korean are;
// not of those whose first byte allows ill-formed ones (U+0800 and surrogates).
inline bool is_wide(const std::uint8_t* p, const std::uint8_t* end) {
  if (end - p < 4) return false;
  std::uint32_t word = 0;
  std::memcpy(&word, p, 4);
  if constexpr (std::endian::native == std::endian::big) word = __builtin_bswap32(word);
  return (word & 0xC0C0F0) == 0x8080E0 && p[0] != 0xE0 && p[0] != 0xED;
}

inline std::uint32_t wide_code(const std::uint8_t* p) {
  return (p[0] & 0x0Fu) << 12 | (p[1] & 0x3Fu) << 6 | (p[2] & 0x3Fu);
}

// Class of the character at p; `length` gets its bytes (1 for an ill-formed byte).
inline CharClass char_class(const std::uint8_t* p, const std::uint8_t* end, unsigned& length) {
  const std::uint8_t cls = detail::kByteClass[*p];
  if (cls != kNonAscii) {
    length = 1;
    return static_cast<CharClass>(cls);
  }
  if (is_wide(p, end)) {
    length = 3;
    return class_of_code_point(wide_code(p));
  }
  std::uint32_t c = 0;
  length = decode_utf8(p, end, c);
  if (length == 0) {
    length = 1;
    return kOther;
  }
  return class_of_code_point(c);
}

#if defined(__SSE2__)
// Sixteen bytes at a time over ASCII letters, then over spaces; scalar code does the rest.
inline const std::uint8_t* skip_ascii_letters(const std::uint8_t* p, const std::uint8_t* end) {
  while (end - p >= 16) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
    const __m128i lower = _mm_or_si128(bytes, _mm_set1_epi8(0x20));
    // 'a'..'z' become the 26 smallest signed bytes.
    const __m128i shifted = _mm_add_epi8(lower, _mm_set1_epi8(static_cast<char>(0x80 - 'a')));
    const __m128i letters = _mm_cmplt_epi8(shifted, _mm_set1_epi8(static_cast<char>(0x80 + 26)));
    const unsigned rest = ~static_cast<unsigned>(_mm_movemask_epi8(letters)) & 0xFFFF;
    if (rest != 0) return p + std::countr_zero(rest);
    p += 16;
  }
  return p;
}

inline const std::uint8_t* skip_ascii_spaces(const std::uint8_t* p, const std::uint8_t* end) {
  while (end - p >= 16) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
    const __m128i spaces = _mm_cmpeq_epi8(bytes, _mm_set1_epi8(' '));
    const unsigned rest = ~static_cast<unsigned>(_mm_movemask_epi8(spaces)) & 0xFFFF;
    if (rest != 0) return p + std::countr_zero(rest);
    p += 16;
  }
  return p;
}
#else
inline const std::uint8_t* skip_ascii_letters(const std::uint8_t* p, const std::uint8_t*) {
  return p;
}
inline const std::uint8_t* skip_ascii_spaces(const std::uint8_t* p, const std::uint8_t*) {
  return p;
}
#endif

// First position at or after p whose character is not of class `cls`.
inline const std::uint8_t* skip_class(const std::uint8_t* p, const std::uint8_t* end,
                                      CharClass cls) {
  if (cls == kLetter) p = skip_ascii_letters(p, end);
  while (p < end) {
    const std::uint8_t got = detail::kByteClass[*p];
    if (got == cls) {
      ++p;
      continue;
    }
    if (got != kNonAscii) return p;
    unsigned length = 0;
    if (char_class(p, end, length) != cls) return p;
    p += length;
  }
  return p;
}

// End of the English contraction at p (which holds an apostrophe), or p.
inline const std::uint8_t* skip_contraction(const std::uint8_t* p, const std::uint8_t* end) {
  if (end - p < 2) return p;
  const std::uint8_t a = p[1];
  if (a == 's' || a == 't' || a == 'm' || a == 'd') return p + 2;
  if (end - p < 3) return p;
  const std::uint8_t b = p[2];
  const bool two = (b == 'e' && (a == 'r' || a == 'v')) || (a == 'l' && b == 'l');
  return two ? p + 3 : p;
}

// A run of white space leaves its last character to the word that follows it.
inline const std::uint8_t* skip_spaces(const std::uint8_t* p, const std::uint8_t* end) {
  const std::uint8_t* q = skip_ascii_spaces(p, end);
  const std::uint8_t* last = q > p ? q - 1 : p;
  while (q < end) {
    unsigned length = 0;
    if (char_class(q, end, length) != kSpace) return last > p ? last : q;
    last = q;
    q += length;
  }
  return q;
}

// End of the pre-token that starts at p; p < end.
inline const std::uint8_t* next_piece(const std::uint8_t* p, const std::uint8_t* end) {
  if (*p == '\'') {
    const std::uint8_t* q = skip_contraction(p, end);
    if (q != p) return q;
  }
  unsigned length = 0;
  CharClass cls = char_class(p, end, length);
  if (cls != kSpace) return skip_class(p + length, end, cls);
  if (*p == ' ' && end - p > 1) {
    cls = char_class(p + 1, end, length);
    if (cls != kSpace) return skip_class(p + 1 + length, end, cls);
  }
  return skip_spaces(p, end);
}

// First position in [from, end) where a text may be cut without moving a piece boundary:
// before an ASCII white-space character that follows a character of another class.
inline const std::uint8_t* next_safe_cut(const std::uint8_t* begin, const std::uint8_t* from,
                                         const std::uint8_t* end) {
  for (const std::uint8_t* p = from > begin ? from : begin + 1; p < end; ++p) {
    if (detail::kByteClass[*p] != kSpace) continue;
    const std::uint8_t* lead = p - 1;
    while (lead > begin && p - lead < 4 && (*lead & 0xC0) == 0x80) --lead;
    unsigned length = 0;
    const CharClass before = char_class(lead, end, length);
    if (before != kSpace || lead + length != p) return p;
  }
  return end;
}

}  // namespace llmcore::tokenizer
