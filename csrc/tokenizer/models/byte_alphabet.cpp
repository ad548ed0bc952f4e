#include "tokenizer/models/byte_alphabet.h"

#include "tokenizer/text/utf8.h"

namespace llmcore::tokenizer {
namespace {

constexpr std::uint32_t kAlphabetEnd = 0x144;

constexpr std::array<std::int16_t, kAlphabetEnd> make_char_bytes() {
  std::array<std::int16_t, kAlphabetEnd> bytes{};
  for (auto& b : bytes) b = -1;
  for (unsigned b = 0; b < 256; ++b) bytes[kByteChars[b]] = static_cast<std::int16_t>(b);
  return bytes;
}

constexpr std::array<std::int16_t, kAlphabetEnd> kCharBytes = make_char_bytes();

}  // namespace

std::string bytes_to_text(std::string_view bytes) {
  std::string text;
  text.reserve(bytes.size() * 2);
  for (const char byte : bytes) {
    const std::uint16_t c = kByteChars[static_cast<std::uint8_t>(byte)];
    if (c < 0x80) {
      text += static_cast<char>(c);
    } else {
      text += static_cast<char>(0xC0 | (c >> 6));
      text += static_cast<char>(0x80 | (c & 0x3F));
    }
  }
  return text;
}

bool text_to_bytes(std::string_view text, std::string& bytes) {
  bytes.resize(text.size());  // at least as many as there will be
  char* out = bytes.data();
  const auto* p = reinterpret_cast<const std::uint8_t*>(text.data());
  const std::uint8_t* end = p + text.size();
  for (;;) {
    // ASCII's printable characters stand for themselves; the others of the alphabet have two bytes.
    for (; p < end && *p - 0x21u < 0x5E; ++p) *out++ = static_cast<char>(*p);
    if (p == end) {
      bytes.resize(static_cast<std::size_t>(out - bytes.data()));
      return true;
    }
    std::uint32_t c = 0;
    const unsigned length = decode_utf8(p, end, c);
    if (length == 0 || c >= kAlphabetEnd || kCharBytes[c] < 0) return false;
    *out++ = static_cast<char>(kCharBytes[c]);
    p += length;
  }
}

}  // namespace llmcore::tokenizer
