#include "tokenizer/normalize/char_normalizers.h"

#include <string>

#include "tokenizer/models/byte_alphabet.h"
#include "tokenizer/normalize/char_data.h"
#include "tokenizer/normalize/span_writer.h"
#include "tokenizer/text/utf8.h"

namespace llmcore::tokenizer {
namespace {

// Calls visit(begin, end, c) for each character of `text` beyond ASCII, and visit_ascii(begin, end)
// for each run of ASCII; ill-formed bytes are passed over.
template <typename Ascii, typename Visit>
void for_each_char(Text text, Ascii visit_ascii, Visit visit) {
  for (std::size_t at = 0; at < text.size();) {
    if (text[at] < 0x80) {
      const std::size_t end = ascii_end(text, at);
      visit_ascii(at, end);
      at = end;
      continue;
    }
    std::uint32_t c = 0;
    const unsigned length = decode_utf8(text.data() + at, text.data() + text.size(), c);
    if (length != 0) visit(at, at + length, c);
    at += length == 0 ? 1 : length;
  }
}

constexpr AsciiMap make_lower_map() {
  AsciiMap map{};
  for (unsigned c = 0; c < 128; ++c) {
    map[c] = static_cast<std::uint8_t>(c >= 'A' && c <= 'Z' ? c + 32 : c);
  }
  return map;
}

class Lowercase final : public Normalizer {
 public:
  void apply(const AlignedText& from, AlignedText& to) const override {
    static constexpr AsciiMap kLower = make_lower_map();
    SpanWriter writer(from, to);
    std::string lower;
    for_each_char(
        from.text(), [&](std::size_t begin, std::size_t end) { writer.map(begin, end, kLower); },
        [&](std::size_t begin, std::size_t end, std::uint32_t c) {
          if (c == kCapitalIWithDot) return writer.replace(begin, end, "i\xCC\x87");
          if (lower_case(c) == c) return;
          lower.clear();
          append_utf8(lower, lower_case(c));
          writer.replace(begin, end, lower);
        });
    writer.finish();
  }
  SpaceCut space_cut() const override { return SpaceCut::kKept; }
};

// SentencePiece's clean-up of white space and controls ("nmt_*" rules).
class Nmt final : public Normalizer {
 public:
  void apply(const AlignedText& from, AlignedText& to) const override {
    SpanWriter writer(from, to);
    const Text text = from.text();
    for_each_char(
        text,
        [&](std::size_t begin, std::size_t end) {
          for (std::size_t i = begin; i < end; ++i) {
            const std::uint8_t c = text[i];
            if (c >= 0x20 && c != 0x7F) continue;
            if (c == '\t' || c == '\n' || c == '\f' || c == '\r') {
              writer.replace(i, i + 1, " ");
            } else if (c != 0) {
              writer.drop(i, i + 1);
            }
          }
        },
        [&](std::size_t begin, std::size_t end, std::uint32_t c) {
          if (c == 0x8F || c == 0x9F) writer.drop(begin, end);
          if (is_space(c)) writer.replace(begin, end, " ");
        });
    writer.finish();
  }

 private:
  static bool is_space(std::uint32_t c) {
    return c == 0x1680 || (c >= 0x200B && c <= 0x200F) || c == 0x2028 || c == 0x2029 ||
           c == 0x2581 || c == 0xFEFF || c == 0xFFFD;
  }
};

class StripAccents final : public Normalizer {
 public:
  void apply(const AlignedText& from, AlignedText& to) const override {
    SpanWriter writer(from, to);
    for_each_char(
        from.text(), [](std::size_t, std::size_t) {},
        [&](std::size_t begin, std::size_t end, std::uint32_t c) {
          if (char_record(c).flags & kCombiningMark) writer.drop(begin, end);
        });
    writer.finish();
  }
  SpaceCut space_cut() const override { return SpaceCut::kKept; }
};

constexpr std::array<char, 512> make_stand_ins() {
  std::array<char, 512> pairs{};
  for (unsigned b = 0; b < 256; ++b) {
    pairs[2 * b] = static_cast<char>(0xC0 | kByteChars[b] >> 6);
    pairs[2 * b + 1] = static_cast<char>(0x80 | (kByteChars[b] & 0x3F));
  }
  return pairs;
}

// Each byte as its printable stand-in, which has two bytes wherever it differs.
class ByteLevel final : public Normalizer {
 public:
  void apply(const AlignedText& from, AlignedText& to) const override {
    static constexpr std::array<char, 512> kStandIns = make_stand_ins();
    const Text text = from.text();
    SpanWriter writer(from, to);
    for (std::size_t i = 0; i < text.size(); ++i) {
      if (!stays(text[i])) writer.replace(i, i + 1, {&kStandIns[2 * text[i]], 2});
    }
    writer.finish();
  }

 private:
  static bool stays(std::uint8_t b) { return b > 0x20 && b < 0x7F; }
};

}  // namespace

std::unique_ptr<Normalizer> make_lowercase() {
  return std::make_unique<Lowercase>();
}
std::unique_ptr<Normalizer> make_nmt() {
  return std::make_unique<Nmt>();
}
std::unique_ptr<Normalizer> make_strip_accents() {
  return std::make_unique<StripAccents>();
}
std::unique_ptr<Normalizer> make_byte_level() {
  return std::make_unique<ByteLevel>();
}

}  // namespace llmcore::tokenizer
