#include "tokenizer/normalize/normal_form.h"

#include <algorithm>

#include "tokenizer/normalize/ascii_run.h"
#include "tokenizer/text/utf8.h"

namespace llmcore::tokenizer {

void SegmentNormalizer::decompose() {
  using namespace hangul;
  for (const AlignedChar& source : source_) {
    const std::uint32_t syllable = source.c - kSyllable;
    if (syllable < kNumSyllables) {
      append(kL + syllable / (kNumV * kNumT), 0);
      append(kV + syllable / kNumT % kNumV, 1);
      if (syllable % kNumT != 0) append(kT + syllable % kNumT, 1);
      continue;
    }
    const auto parts = decomposition(source.c, form_.compatible);
    if (parts.empty()) append(source.c, 0);
    for (std::size_t i = 0; i < parts.size(); ++i) append(parts[i], i == 0 ? 0 : 1);
  }
}

// Sorts each run of combining characters by class, keeping the order of equals.
void SegmentNormalizer::reorder() {
  const auto by_class = [](const Unit& a, const Unit& b) {
    return a.combining_class < b.combining_class;
  };
  for (auto begin = units_.begin(); begin != units_.end();) {
    auto end = begin + 1;
    if (begin->combining_class != 0) {
      while (end != units_.end() && end->combining_class != 0) ++end;
      if (!std::is_sorted(begin, end, by_class)) std::stable_sort(begin, end, by_class);
    }
    begin = end;
  }
}

void SegmentNormalizer::compose() {
  constexpr int kNothingBetween = -1;
  std::size_t used = 0, starter = units_.size();
  int last_class = kNothingBetween;
  for (std::size_t i = 0; i < units_.size(); ++i) {
    const Unit unit = units_[i];
    if (starter < i && last_class < unit.combining_class) {
      if (const std::uint32_t c = compose_pair(units_[starter].c, unit.c)) {
        units_[starter].c = c;
        units_[starter].change += unit.change - 1;
        continue;
      }
    }
    if (unit.combining_class == 0) {
      starter = used;
      last_class = kNothingBetween;
    } else {
      last_class = unit.combining_class;
    }
    units_[used++] = unit;
  }
  units_.resize(used);
}

std::span<const AlignedChar> SegmentNormalizer::finish() {
  units_.clear();
  decompose();
  reorder();
  if (form_.composes) compose();
  // Origins go by position, not by character: marks that changed places keep the places' origins.
  result_.clear();
  std::size_t next = 0;
  for (const Unit& unit : units_) {
    const std::size_t at = unit.change > 0 && next > 0 ? next - 1 : next;
    result_.push_back({unit.c, source_[std::min(at, source_.size() - 1)].origin});
    if (unit.change <= 0) next += static_cast<std::size_t>(1 - unit.change);
  }
  return result_;
}

namespace {

class NormalFormNormalizer final : public Normalizer {
 public:
  explicit NormalFormNormalizer(Form form) : form_(form) {}

  void apply(const AlignedText& from, AlignedText& to) const override {
    const Text text = from.text();
    SegmentNormalizer segment(form_);
    ChunkWriter out(from, to);
    std::size_t kept = 0;
    while (kept < text.size()) {
      const auto [begin, end] = next_segment(text, kept);
      if (kept < begin) out.keep(kept, begin);
      if (begin < end) rewrite(from, out, begin, end, segment);
      kept = end;
    }
    out.flush();
  }
  SpaceCut space_cut() const override { return SpaceCut::kKept; }

 private:
  struct Range {
    std::size_t begin, end;
  };

  bool is_safe(const CharRecord& record) const { return (record.flags & form_.unsafe()) == 0; }

  // First stretch at or after `at`, the start of a segment, that may not be normal already. It
  // begins with the last starter before, which may compose with what follows.
  Range next_segment(Text text, std::size_t at) const {
    const std::uint8_t* end = text.data() + text.size();
    std::size_t begin = at;
    unsigned last_class = 0;
    while (at < text.size()) {
      if (text[at] < 0x80) {
        at = ascii_end(text, at);
        begin = at - 1;
        last_class = 0;
        continue;
      }
      std::uint32_t c = 0;
      const unsigned length = decode_utf8(text.data() + at, end, c);
      if (length == 0) {
        begin = ++at;
        last_class = 0;
        continue;
      }
      const CharRecord& record = char_record(c);
      const unsigned combining_class = record.combining_class;
      if (!is_safe(record) || (combining_class != 0 && combining_class < last_class)) {
        return {begin, segment_end(text, at + length)};
      }
      if (combining_class == 0) begin = at;
      last_class = combining_class;
      at += length;
    }
    return {at, at};
  }

  std::size_t segment_end(Text text, std::size_t at) const {
    const std::uint8_t* end = text.data() + text.size();
    while (at < text.size() && text[at] >= 0x80) {
      std::uint32_t c = 0;
      const unsigned length = decode_utf8(text.data() + at, end, c);
      if (length == 0) break;
      const CharRecord& record = char_record(c);
      if (is_safe(record) && record.combining_class == 0) break;
      at += length;
    }
    return at;
  }

  static void rewrite(const AlignedText& from, ChunkWriter& out, std::size_t begin, std::size_t end,
                      SegmentNormalizer& segment) {
    const std::uint8_t* text = from.text().data();
    segment.clear();
    for (const std::uint8_t* p = text + begin; p < text + end;) {
      const auto at = static_cast<std::size_t>(p - text);
      segment.add(next_char(p, text + end), out.origin(at));
    }
    std::string bytes;
    for (const AlignedChar& result : segment.finish()) {
      bytes.clear();
      append_utf8(bytes, result.c);
      out.write(bytes, result.origin);
    }
  }

  Form form_;
};

}  // namespace

std::unique_ptr<Normalizer> make_normal_form(Form form) {
  return std::make_unique<NormalFormNormalizer>(form);
}

}  // namespace llmcore::tokenizer
