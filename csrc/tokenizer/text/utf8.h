// UTF-8, one character at a time and whole texts.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace llmcore::tokenizer {

// Length of the well-formed UTF-8 character at p (1 to 4) and its code point; 0 if ill-formed.
inline unsigned decode_utf8(const std::uint8_t* p, const std::uint8_t* end, std::uint32_t& c) {
  const auto left = static_cast<std::size_t>(end - p);
  const auto tail = [&](std::size_t i) { return left > i && (p[i] & 0xC0) == 0x80; };
  const std::uint8_t b = p[0];
  if (b < 0x80) {
    c = b;
    return 1;
  }
  if (b < 0xC2) return 0;
  if (b < 0xE0) {
    if (!tail(1)) return 0;
    c = (b & 0x1Fu) << 6 | (p[1] & 0x3Fu);
    return 2;
  }
  if (b < 0xF0) {
    if (!tail(1) || !tail(2)) return 0;
    c = (b & 0x0Fu) << 12 | (p[1] & 0x3Fu) << 6 | (p[2] & 0x3Fu);
    return c >= 0x800 && (c < 0xD800 || c > 0xDFFF) ? 3 : 0;
  }
  if (b < 0xF5) {
    if (!tail(1) || !tail(2) || !tail(3)) return 0;
    c = (b & 0x07u) << 18 | (p[1] & 0x3Fu) << 12 | (p[2] & 0x3Fu) << 6 | (p[3] & 0x3Fu);
    return c >= 0x10000 && c <= 0x10FFFF ? 4 : 0;
  }
  return 0;
}

inline constexpr std::uint32_t kReplacementChar = 0xFFFD;

// Code point of the character at p, which moves past it; an ill-formed byte counts as one U+FFFD.
inline std::uint32_t next_char(const std::uint8_t*& p, const std::uint8_t* end) {
  std::uint32_t c = 0;
  const unsigned length = decode_utf8(p, end, c);
  p += length == 0 ? 1 : length;
  return length == 0 ? kReplacementChar : c;
}

// `c` is a code point, not a surrogate.
inline void append_utf8(std::string& out, std::uint32_t c) {
  if (c < 0x80) {
    out += static_cast<char>(c);
  } else if (c < 0x800) {
    out += static_cast<char>(0xC0 | c >> 6);
    out += static_cast<char>(0x80 | (c & 0x3F));
  } else if (c < 0x10000) {
    out += static_cast<char>(0xE0 | c >> 12);
    out += static_cast<char>(0x80 | (c >> 6 & 0x3F));
    out += static_cast<char>(0x80 | (c & 0x3F));
  } else {
    out += static_cast<char>(0xF0 | c >> 18);
    out += static_cast<char>(0x80 | (c >> 12 & 0x3F));
    out += static_cast<char>(0x80 | (c >> 6 & 0x3F));
    out += static_cast<char>(0x80 | (c & 0x3F));
  }
}

// Offset of the first ill-formed byte, or text.size().
inline std::size_t valid_utf8_length(std::string_view text) {
  const auto* begin = reinterpret_cast<const std::uint8_t*>(text.data());
  const std::uint8_t* end = begin + text.size();
  for (const std::uint8_t* p = begin; p < end;) {
    std::uint32_t c = 0;
    const unsigned length = decode_utf8(p, end, c);
    if (length == 0) return static_cast<std::size_t>(p - begin);
    p += length;
  }
  return text.size();
}

}  // namespace llmcore::tokenizer
