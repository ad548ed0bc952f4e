// Whole texts through the scanners of the known patterns, and where such a text may be cut.
#pragma once

#include <bit>
#include <cstdint>

#include "tokenizer/split/ascii_block.h"
#include "tokenizer/split/known_pattern.h"
#include "tokenizer/split/word_scanners.h"

namespace llmcore::tokenizer {

// Calls visit(piece_begin, piece_end) for the pieces of [begin, end), in order; together they are
// the text.
template <KnownPattern kPattern, class Visit>
void for_each_piece(const std::uint8_t* begin, const std::uint8_t* end, Visit&& visit) {
  const std::uint8_t* p = begin;
  while (p < end) {
    if (detail::kHasBlocks && static_cast<std::size_t>(end - p) >= detail::kBlockBytes) {
      detail::Mask starts = detail::block_starts<kPattern>(p);
      if (starts != 1) {
        const std::uint8_t* block = p;
        for (starts &= starts - 1; starts != 0; starts &= starts - 1) {
          const std::uint8_t* q = block + std::countr_zero(starts);
          visit(p, q);
          p = q;
        }
        continue;
      }
    }
    const std::uint8_t* q = next_piece<kPattern>(p, end);
    visit(p, q);
    p = q;
  }
}

// The same for a pattern known at run time; resolved once.
template <class Visit>
void for_each_piece(KnownPattern pattern, const std::uint8_t* begin, const std::uint8_t* end,
                    Visit&& visit) {
  using enum KnownPattern;
  switch (pattern) {
    case kGpt2:
      return for_each_piece<kGpt2>(begin, end, visit);
    case kCl100k:
      return for_each_piece<kCl100k>(begin, end, visit);
    case kLlama3:
      return for_each_piece<kLlama3>(begin, end, visit);
    case kQwen2:
      return for_each_piece<kQwen2>(begin, end, visit);
    case kO200k:
      return for_each_piece<kO200k>(begin, end, visit);
    case kDeepSeekV3:
      return for_each_piece<kDeepSeekV3>(begin, end, visit);
  }
}

namespace detail {

// Whether every text that holds `before` and then `after` has a piece boundary between them, and
// neither side's pieces depend on the other.
inline bool is_safe_cut(KnownPattern pattern, const Char& before, const Char& after) {
  using enum KnownPattern;
  if (after.is(kIsSpace)) {
    if (before.is(kIsSpace)) return false;
    return pattern == kGpt2 || !after.is(kIsNewline) || before.is(kIsLetter | kIsNumber);
  }
  if (before.is(kIsNewline)) return pattern != kGpt2 && !(pattern == kO200k && after.code == '/');
  if (!before.is(kIsLetter) || after.is(kIsLetter | kIsNumber)) return false;
  // A symbol after a word.
  if (pattern == kO200k) return !after.is(kIsMark) && after.code != '\'';
  if (pattern == kDeepSeekV3) return !after.is(kIsMark);
  return true;
}

}  // namespace detail

// First position in [from, end), but not `begin`, where the text may be cut without moving a piece
// boundary; `end` if there is none.
inline const std::uint8_t* next_safe_cut(KnownPattern pattern, const std::uint8_t* begin,
                                         const std::uint8_t* from, const std::uint8_t* end) {
  const std::uint8_t* p = from > begin ? from : begin + 1;
  // The character that ends at p, or the ill-formed byte there.
  const std::uint8_t* lead = p - 1;
  if (p >= end) return end;
  while (lead > begin && p - lead < 4 && (*lead & 0xC0) == 0x80) --lead;
  Char before = read_char(lead, end);
  if (lead + before.length < p) before = read_char(p - 1, end);
  if (lead + before.length > p) p = lead + before.length;
  while (p < end) {
    const Char after = read_char(p, end);
    if (detail::is_safe_cut(pattern, before, after)) return p;
    before = after;
    p += after.length;
  }
  return end;
}

}  // namespace llmcore::tokenizer
