// Precompiled of Hugging Face tokenizers: a grapheme cluster of up to five bytes is replaced whole
// by the rule for its shortest prefix; the characters of others one by one.
#include <algorithm>
#include <optional>
#include <utility>

#include "tokenizer/normalize/char_data.h"
#include "tokenizer/normalize/charsmap_normalizers.h"
#include "tokenizer/normalize/grapheme.h"
#include "tokenizer/normalize/span_writer.h"

namespace llmcore::tokenizer {
namespace {

// Writes characters with the reference's bookkeeping: `change` 1 is a character that was not
// there, 0 one that replaces the next, -n one that replaces the next 1 + n. A removal is charged
// to the character before; without one it is lost and later origins lag behind, as there.
class Realigner {
 public:
  Realigner(const AlignedText& from, AlignedText& to) : from_(from), to_(to) {
    to.start_like(from);
  }

  // `bytes`, one character, must outlive this.
  void put(std::string_view bytes, int change) {
    flush();
    held_ = Held{bytes, change};
  }
  void remove(int count) {
    if (held_) held_->change -= count;
  }
  // Characters [begin, end) as they are; the last of them starts at `last`.
  void keep(std::size_t begin, std::size_t last, std::size_t end) {
    flush();
    if (!from_.tracks() || next_ == begin) {
      to_.keep(from_, begin, last);
      next_ = last;
    } else {
      while (begin < last) {
        const std::size_t length = read_grapheme_char(from_.text(), begin).length;
        put(from_.view().substr(begin, length), 0);
        begin += length;
      }
    }
    put(from_.view().substr(last, end - last), 0);
  }
  void flush() {
    if (!held_) return;
    to_.write(held_->bytes, from_.tracks() ? origin(held_->change) : Origin{});
    if (from_.tracks()) {
      for (int i = held_->change; i <= 0 && next_ < from_.size(); ++i) {
        next_ += read_grapheme_char(from_.text(), next_).length;
      }
    }
    held_.reset();
  }

 private:
  struct Held {
    std::string_view bytes;
    int change;
  };

  Origin origin(int change) const {
    if (change <= 0) return from_.origin(std::min(next_, from_.size() - 1));
    if (next_ > 0) return from_.origin(next_ - 1);
    return {from_.origin(0).begin, from_.origin(0).begin};
  }

  const AlignedText& from_;
  AlignedText& to_;
  std::optional<Held> held_;
  std::size_t next_ = 0;  // byte of the next character to be replaced
};

class Precompiled final : public Normalizer {
 public:
  explicit Precompiled(Charsmap charsmap) : charsmap_(std::move(charsmap)) {
    for (std::uint32_t b = 0; b < 128; ++b) passes_[b] = !charsmap_.may_rewrite(b) && b != '\r';
  }

  void apply(const AlignedText& from, AlignedText& to) const override {
    const Text text = from.text();
    Pass pass{from, to, Realigner(from, to)};
    for (std::size_t at = 0; at < text.size();) {
      const std::size_t plain = plain_end(text, at);
      if (plain > at) {
        pass.last = plain - 1;
        at = plain;
        continue;
      }
      if (const std::size_t end = lone_char_end(text, at); end > at) {
        pass.last = at;
        at = end;
        continue;
      }
      const Grapheme cluster = read_grapheme(text, at);
      const Text bytes = text.first(cluster.end);
      if (cluster.end - at < 6) {
        const bool may_match = !cluster.is_char || charsmap_.may_rewrite(cluster.first);
        if (may_match && replace(pass, bytes, at, cluster.end)) {
          at = cluster.end;
          continue;
        }
      }
      while (at < cluster.end) {
        const GraphemeChar read = read_grapheme_char(text, at);
        const std::size_t end = at + read.length;
        const bool may_match = read.is_valid && charsmap_.may_rewrite(read.c);
        if (!may_match || !replace(pass, text.first(end), at, end)) pass.last = at;
        at = end;
      }
    }
    if (pass.kept < text.size()) pass.out.keep(pass.kept, pass.last, text.size());
    pass.out.flush();
  }

 private:
  struct Pass {
    const AlignedText& from;
    AlignedText& to;
    Realigner out;
    std::size_t kept = 0, last = 0;  // characters from `kept` on stay; the latest is at `last`
  };

  // End of the ASCII from `at` on that stays, each character a cluster of its own.
  std::size_t plain_end(Text text, std::size_t at) const {
    const std::size_t begin = at;
    while (at < text.size() && text[at] < 0x80 && passes_[text[at]]) ++at;
    return at > begin && at < text.size() && text[at] >= 0x80 ? at - 1 : at;
  }

  // End of the character at `at` if it stays and is a cluster by itself, or `at`.
  std::size_t lone_char_end(Text text, std::size_t at) const {
    const std::uint8_t* const stop = text.data() + text.size();
    std::uint32_t c = 0;
    const unsigned length = decode_utf8(text.data() + at, stop, c);
    const auto other = static_cast<std::uint8_t>(GraphemeClass::kOther);
    if (length == 0 || charsmap_.may_rewrite(c) || char_record(c).grapheme_class != other)
      return at;
    const std::size_t end = at + length;
    if (end == text.size() || text[end] < 0x80) return end;
    if (decode_utf8(text.data() + end, stop, c) == 0) return end;
    const auto joiner = static_cast<std::uint8_t>(GraphemeClass::kJoiner);
    return char_record(c).grapheme_class == joiner ? at : end;
  }

  // Replaces [begin, end) of the text by the rule for its shortest prefix, if there is one.
  bool replace(Pass& pass, Text bytes, std::size_t begin, std::size_t end) const {
    const Charsmap::Match match = charsmap_.shortest(bytes, begin);
    if (match.length == 0) return false;
    if (pass.kept < begin) pass.out.keep(pass.kept, pass.last, begin);
    pass.kept = end;
    int removed = 0;
    for (std::size_t at = begin; at < end; at += read_grapheme_char(bytes, at).length) ++removed;
    for (std::size_t at = 0; at < match.output.size();) {
      const std::size_t length = read_grapheme_char(as_text(match.output), at).length;
      pass.out.put(match.output.substr(at, length), removed > 0 ? 0 : 1);
      --removed;
      at += length;
    }
    if (removed > 0) pass.out.remove(removed);
    check_growth(pass.to.size(), pass.from.size());
    return true;
  }

  Charsmap charsmap_;
  std::array<bool, 128> passes_{};
};

}  // namespace

std::unique_ptr<Normalizer> make_precompiled(Charsmap charsmap) {
  return std::make_unique<Precompiled>(std::move(charsmap));
}

}  // namespace llmcore::tokenizer
