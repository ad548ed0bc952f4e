// Bytes to well-formed UTF-8 as they come: whole characters only, the rest as U+FFFD.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "tokenizer/text/utf8.h"

namespace llmcore::tokenizer {

inline constexpr std::string_view kReplacementText = "\xEF\xBF\xBD";

// What stands at the front of a text: a whole character, one that the end of the text cuts, or the
// longest ill-formed start of one ("maximal subpart", Unicode 16.0 section 3.9).
struct Utf8Head {
  std::size_t size = 0;
  bool is_whole = false, is_cut = false;
};

inline Utf8Head utf8_head(std::string_view text) {
  const auto at = [&](std::size_t i) { return static_cast<std::uint8_t>(text[i]); };
  const std::uint8_t lead = at(0);
  if (lead < 0x80) return {1, true, false};
  if (lead < 0xC2 || lead > 0xF4) return {1, false, false};
  const std::size_t length = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
  // The second byte rules out overlong forms, surrogates and what lies beyond U+10FFFF.
  const std::uint8_t low = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
  const std::uint8_t high = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
  std::size_t size = 1;
  for (; size < length && size < text.size(); ++size) {
    const bool fits = size == 1 ? at(1) >= low && at(1) <= high : (at(size) & 0xC0) == 0x80;
    if (!fits) return {size, false, false};
  }
  return {size, size == length, size < length};
}

class Utf8Gate {
 public:
  // Appends the characters that `bytes` complete.
  void push(std::string_view bytes, std::string& out) {
    if (!rest_.empty()) {
      rest_ += bytes;
      const std::string joined = std::move(rest_);
      rest_.clear();
      pass(joined, out);
      return;
    }
    pass(bytes, out);
  }
  // Appends U+FFFD for a character that stays unfinished, and starts anew.
  void finish(std::string& out) {
    if (!rest_.empty()) out += kReplacementText;
    rest_.clear();
  }

 private:
  void pass(std::string_view bytes, std::string& out) {
    while (!bytes.empty()) {
      const std::size_t valid = valid_utf8_length(bytes);
      out += bytes.substr(0, valid);
      bytes.remove_prefix(valid);
      if (bytes.empty()) return;
      const Utf8Head head = utf8_head(bytes);
      if (head.is_cut) {
        rest_ = bytes;
        return;
      }
      out += kReplacementText;
      bytes.remove_prefix(head.size);
    }
  }

  std::string rest_;  // at most three bytes between calls
};

}  // namespace llmcore::tokenizer
