#include "tokenizer/pipeline/word_edges.h"

#include "tokenizer/split/char_traits.h"
#include "tokenizer/split/code_point_set.h"
#include "tokenizer/text/utf8.h"

namespace llmcore::tokenizer {
namespace {

// First byte of the last character.
std::size_t last_char(Text text) {
  std::size_t at = text.size() - 1;
  while (at > 0 && text.size() - at < 4 && (text[at] & 0xC0) == 0x80) --at;
  std::uint32_t c = 0;
  const std::uint8_t* end = text.data() + text.size();
  return decode_utf8(text.data() + at, end, c) == text.size() - at ? at : text.size() - 1;
}

std::uint32_t char_at(Text text, std::size_t at) {
  const std::uint8_t* p = text.data() + at;
  return next_char(p, text.data() + text.size());
}

bool is_word_char(std::uint32_t c) {
  static const CodePointSet words = word_set(/*oniguruma=*/false);
  return words.contains(c);
}

}  // namespace

bool starts_with_word(Text text) {
  return !text.empty() && is_word_char(char_at(text, 0));
}

bool ends_with_word(Text text) {
  return !text.empty() && is_word_char(char_at(text, last_char(text)));
}

std::size_t leading_space(Text text) {
  const std::uint8_t* p = text.data();
  const std::uint8_t* end = p + text.size();
  while (p < end) {
    const std::uint8_t* next = p;
    if ((traits_of(next_char(next, end)) & kIsSpace) == 0) break;
    p = next;
  }
  return static_cast<std::size_t>(p - text.data());
}

std::size_t trailing_space(Text text) {
  std::size_t end = text.size();
  while (end > 0) {
    const std::size_t at = last_char(text.first(end));
    if ((traits_of(char_at(text.first(end), at)) & kIsSpace) == 0) break;
    end = at;
  }
  return text.size() - end;
}

}  // namespace llmcore::tokenizer
