#include "tokenizer/formats/base64.h"

#include <array>

namespace llmcore::tokenizer {
namespace {

constexpr char kDigits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

constexpr std::array<std::int8_t, 256> make_values() {
  std::array<std::int8_t, 256> values{};
  for (auto& value : values) value = -1;
  for (int i = 0; i < 64; ++i) {
    values[static_cast<std::uint8_t>(kDigits[i])] = static_cast<std::int8_t>(i);
  }
  return values;
}

constexpr std::array<std::int8_t, 256> kValues = make_values();

}  // namespace

bool append_base64_bytes(std::string_view text, std::string& out) {
  if (text.size() % 4 != 0) return false;
  const std::size_t padding = text.ends_with("==") ? 2 : text.ends_with('=') ? 1 : 0;
  const std::size_t before = out.size();
  int bad = 0;
  for (std::size_t i = 0; i < text.size(); i += 4) {
    const std::size_t digits = i + 4 < text.size() ? 4 : 4 - padding;
    std::uint32_t word = 0;
    for (std::size_t j = 0; j < 4; ++j) {
      const int value = j < digits ? kValues[static_cast<std::uint8_t>(text[i + j])] : 0;
      bad |= value;
      word = word << 6 | (static_cast<std::uint32_t>(value) & 63);
    }
    const char bytes[3] = {static_cast<char>(word >> 16), static_cast<char>(word >> 8),
                           static_cast<char>(word)};
    out.append(bytes, digits - 1);
    // Bits that no byte takes must be zero, so that each text has one spelling.
    if (digits < 4 && (word & (digits == 3 ? 0xFFu : 0xFFFFu)) != 0) bad = -1;
  }
  if (bad >= 0) return true;
  out.resize(before);
  return false;
}

std::string to_base64(std::string_view bytes) {
  std::string out;
  out.reserve((bytes.size() + 2) / 3 * 4);
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    std::uint32_t word = 0;
    for (std::size_t j = 0; j < 3; ++j) {
      word = word << 8 | (i + j < bytes.size() ? static_cast<std::uint8_t>(bytes[i + j]) : 0u);
    }
    const std::size_t left = bytes.size() - i;
    out += kDigits[word >> 18];
    out += kDigits[word >> 12 & 63];
    out += left > 1 ? kDigits[word >> 6 & 63] : '=';
    out += left > 2 ? kDigits[word & 63] : '=';
  }
  return out;
}

}  // namespace llmcore::tokenizer
