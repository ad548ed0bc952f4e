// BertNormalizer in one pass. Stripping accents decomposes first, which only matters where
// characters decompose or combine: those stretches take the long way, the rest go straight.
#include <string>

#include "tokenizer/normalize/char_normalizers.h"
#include "tokenizer/normalize/normal_form.h"
#include "tokenizer/normalize/span_writer.h"
#include "tokenizer/text/utf8.h"

namespace llmcore::tokenizer {
namespace {

bool is_chinese(std::uint32_t c) {
  return (c >= 0x4E00 && c <= 0x9FFF) || (c >= 0x3400 && c <= 0x4DBF) ||
         (c >= 0x20000 && c <= 0x2A6DF) || (c >= 0x2A700 && c <= 0x2B81F) ||
         (c >= 0x2B920 && c <= 0x2CEAF) || (c >= 0xF900 && c <= 0xFAFF) ||
         (c >= 0x2F800 && c <= 0x2FA1F);
}

class Bert final : public Normalizer {
 public:
  explicit Bert(const BertOptions& options)
      : options_(options), strips_accents_(options.strip_accents.value_or(options.lowercase)) {
    for (std::uint32_t c = 0; c < 128; ++c) {
      std::uint32_t out = options_.clean_text ? clean(c) : c;
      if (options_.lowercase && out != kDropped) out = lower_case(out);
      ascii_[c] = out == kDropped ? kNothing : static_cast<std::uint8_t>(out);
    }
  }

  void apply(const AlignedText& from, AlignedText& to) const override {
    const Text text = from.text();
    Pass pass{from, ChunkWriter(from, to), {}, SegmentNormalizer({})};
    for (std::size_t at = 0; at < text.size();) {
      if (text[at] < 0x80) {
        const std::size_t end = ascii_end(text, at);
        write_ascii(pass, at, end);
        at = end;
        continue;
      }
      std::uint32_t c = 0;
      const unsigned length = decode_utf8(text.data() + at, text.data() + text.size(), c);
      if (length == 0) {
        flush(pass);
        pass.out.keep(at, at + 1);
      } else {
        take(pass, c, pass.out.origin(at));
      }
      at += length == 0 ? 1 : length;
    }
    flush(pass);
    pass.out.flush();
  }
  SpaceCut space_cut() const override { return SpaceCut::kKept; }
  bool pads_ideographs() const override { return options_.handle_chinese_chars; }

 private:
  struct Pass {
    const AlignedText& from;
    ChunkWriter out;
    std::string bytes;
    SegmentNormalizer segment;  // characters that wait for what combines with them
  };
  static constexpr std::uint32_t kDropped = 0x110000;

  static std::uint32_t clean(std::uint32_t c) {
    const std::uint16_t flags = char_record(c).flags;
    if (flags & kBertDropped) return kDropped;
    return flags & kWhiteSpace ? ' ' : c;
  }

  void write_ascii(Pass& pass, std::size_t begin, std::size_t end) const {
    const Text text = pass.from.text();
    // Dropped characters do not part marks from each other.
    while (begin < end && ascii_[text[begin]] == kNothing) ++begin;
    if (begin == end) return;
    flush(pass);
    write_mapped(pass.from, pass.out, begin, end, ascii_);
  }

  void take(Pass& pass, std::uint32_t c, Origin origin) const {
    if (options_.clean_text) {
      c = clean(c);
      if (c == kDropped) return;
    }
    const bool is_padded = options_.handle_chinese_chars && is_chinese(c);
    if (is_padded) emit(pass, ' ', origin);
    emit(pass, c, origin);
    if (is_padded) emit(pass, ' ', origin);
  }

  // A character after cleaning and padding, before accents and case.
  void emit(Pass& pass, std::uint32_t c, Origin origin) const {
    if (strips_accents_) {
      const CharRecord& record = char_record(c);
      if ((record.flags & kNfdUnsafe) != 0 || record.combining_class != 0) {
        return pass.segment.add(c, origin);
      }
      flush(pass);
      if (record.flags & kBertAccent) return;
    }
    write(pass, c, origin);
  }

  void flush(Pass& pass) const {
    if (pass.segment.empty()) return;
    for (const AlignedChar& out : pass.segment.finish()) {
      if ((char_record(out.c).flags & kBertAccent) == 0) write(pass, out.c, out.origin);
    }
    pass.segment.clear();
  }

  void write(Pass& pass, std::uint32_t c, Origin origin) const {
    pass.bytes.clear();
    if (options_.lowercase && c == kCapitalIWithDot) {
      pass.bytes = "i\xCC\x87";
    } else {
      append_utf8(pass.bytes, options_.lowercase ? lower_case(c) : c);
    }
    pass.out.write(pass.bytes, origin);
  }

  BertOptions options_;
  bool strips_accents_;
  AsciiMap ascii_{};
};

}  // namespace

std::unique_ptr<Normalizer> make_bert(const BertOptions& options) {
  return std::make_unique<Bert>(options);
}

}  // namespace llmcore::tokenizer
