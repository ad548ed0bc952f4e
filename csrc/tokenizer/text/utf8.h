// UTF-8, one character at a time.
#pragma once

#include <cstddef>
#include <cstdint>

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

}  // namespace llmcore::tokenizer
