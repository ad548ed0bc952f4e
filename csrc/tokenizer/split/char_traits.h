// What the split patterns ask of a character, as flags; all of Unicode 16.0.
#pragma once

#include <array>
#include <cstdint>

#include "tokenizer/split/category_tables.h"
#include "tokenizer/split/gpt2_scanner.h"
#include "tokenizer/text/utf8.h"

namespace llmcore::tokenizer {

inline Category category_of(std::uint32_t c) {
  const unsigned block = kCategoryBlock[c / kCategoryBlockSize];
  const char cell = kCategoryCells[block * kCategoryBlockSize + c % kCategoryBlockSize];
  return static_cast<Category>(cell - kFirstCategoryCell);
}

using Traits = std::uint8_t;
inline constexpr Traits kIsLetter = 1;
inline constexpr Traits kIsNumber = 2;
inline constexpr Traits kIsSpace = 4;
inline constexpr Traits kIsMark = 8;
inline constexpr Traits kIsUpper = 16;        // [\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]
inline constexpr Traits kIsLower = 32;        // [\p{Ll}\p{Lm}\p{Lo}\p{M}]
inline constexpr Traits kIsPunctuation = 64;  // [\p{P}\p{S}]
inline constexpr Traits kIsNewline = 128;     // [\r\n]

namespace detail {

constexpr Traits traits_of_category(Category category) {
  using enum Category;
  switch (category) {
    case kLu:
    case kLt:
      return kIsLetter | kIsUpper;
    case kLl:
      return kIsLetter | kIsLower;
    case kLm:
    case kLo:
      return kIsLetter | kIsUpper | kIsLower;
    case kMn:
    case kMc:
    case kMe:
      return kIsMark | kIsUpper | kIsLower;
    case kNd:
    case kNl:
    case kNo:
      return kIsNumber;
    case kZs:
    case kZl:
    case kZp:
      return kIsSpace;
    case kCc:
    case kCf:
    case kCs:
    case kCo:
    case kCn:
      return 0;
    default:
      return kIsPunctuation;
  }
}

constexpr auto make_category_traits() {
  std::array<Traits, kNumCategories> table{};
  for (int i = 0; i < kNumCategories; ++i) {
    table[static_cast<std::size_t>(i)] = traits_of_category(static_cast<Category>(i));
  }
  return table;
}
inline constexpr auto kCategoryTraits = make_category_traits();

constexpr auto make_ascii_traits() {
  std::array<Traits, 128> table{};
  for (std::size_t c = 0; c < 128; ++c) {
    const auto cell = kCategoryCells[kCategoryBlock[0] * kCategoryBlockSize + c];
    table[c] = kCategoryTraits[static_cast<std::size_t>(cell - kFirstCategoryCell)];
    if (c >= 0x09 && c <= 0x0D) table[c] = kIsSpace;
    if (c == '\n' || c == '\r') table[c] |= kIsNewline;
  }
  return table;
}
inline constexpr auto kAsciiTraits = make_ascii_traits();

}  // namespace detail

inline Traits traits_of(std::uint32_t c) {
  if (c < 0x80) return detail::kAsciiTraits[c];
  if (c == 0x85) return kIsSpace;
  return detail::kCategoryTraits[static_cast<std::size_t>(category_of(c))];
}

// A character of a text; an ill-formed byte counts as U+FFFD.
struct Char {
  std::uint32_t code = 0;
  std::uint8_t length = 0;
  Traits traits = 0;
  bool is(Traits any) const { return (traits & any) != 0; }
};

inline Char read_char(const std::uint8_t* p, const std::uint8_t* end) {
  if (*p < 0x80) return {*p, 1, detail::kAsciiTraits[*p]};
  if (is_wide(p, end)) {
    const std::uint32_t code = wide_code(p);
    return {code, 3, traits_of(code)};
  }
  std::uint32_t c = 0;
  const unsigned length = decode_utf8(p, end, c);
  if (length == 0) return {kReplacementChar, 1, kIsPunctuation};
  return {c, static_cast<std::uint8_t>(length), traits_of(c)};
}

}  // namespace llmcore::tokenizer
