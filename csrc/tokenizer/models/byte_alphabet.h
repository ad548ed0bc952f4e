// GPT-2's bijection between the 256 bytes and 256 printable characters, which lets a vocabulary of
// byte strings be written as text. Source: Radford et al. 2019 (GPT-2), bytes_to_unicode.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace llmcore::tokenizer {

// Character of each byte: printable Latin-1 stands for itself, the rest for U+0100 onwards.
constexpr std::array<std::uint16_t, 256> make_byte_chars() {
  std::array<std::uint16_t, 256> chars{};
  std::uint16_t next = 256;
  for (unsigned b = 0; b < 256; ++b) {
    const bool keeps = (b >= 0x21 && b <= 0x7E) || (b >= 0xA1 && b != 0xAD);
    chars[b] = keeps ? static_cast<std::uint16_t>(b) : next++;
  }
  return chars;
}

inline constexpr std::array<std::uint16_t, 256> kByteChars = make_byte_chars();

// UTF-8 of the characters that stand for `bytes`.
std::string bytes_to_text(std::string_view bytes);

// The bytes that `text` stands for; false if it holds a character outside the alphabet.
bool text_to_bytes(std::string_view text, std::string& bytes);

}  // namespace llmcore::tokenizer
