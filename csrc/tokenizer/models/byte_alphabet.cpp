#include "tokenizer/models/byte_alphabet.h"

#include "tokenizer/split/gpt2_scanner.h"

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
  bytes.clear();
  const auto* p = reinterpret_cast<const std::uint8_t*>(text.data());
  const std::uint8_t* end = p + text.size();
  while (p < end) {
    std::uint32_t c = 0;
    const unsigned length = decode_utf8(p, end, c);
    if (length == 0 || c >= kAlphabetEnd || kCharBytes[c] < 0) return false;
    bytes += static_cast<char>(kCharBytes[c]);
    p += length;
  }
  return true;
}

}  // namespace llmcore::tokenizer
