#include "tokenizer/normalize/edit_normalizers.h"

#include <cstring>
#include <utility>
#include <vector>

#include "tokenizer/normalize/char_data.h"
#include "tokenizer/normalize/span_writer.h"
#include "tokenizer/split/regex.h"
#include "tokenizer/text/utf8.h"

namespace llmcore::tokenizer {
namespace {

class Strip final : public Normalizer {
 public:
  Strip(bool left, bool right) : left_(left), right_(right) {}

  void apply(const AlignedText& from, AlignedText& to) const override {
    const Text text = from.text();
    std::size_t begin = 0, end = text.size();
    while (left_ && begin < end) {
      const std::size_t length = white_length(text, begin, end);
      if (length == 0) break;
      begin += length;
    }
    while (right_ && begin < end) {
      std::size_t start = end - 1;
      while (start > begin && end - start < 4 && (text[start] & 0xC0) == 0x80) --start;
      if (white_length(text, start, end) != end - start) break;
      end = start;
    }
    to.start_like(from);
    to.keep(from, begin, end);
  }

 private:
  // Length of the white-space character at `at`, or 0.
  static std::size_t white_length(Text text, std::size_t at, std::size_t end) {
    std::uint32_t c = 0;
    const unsigned length = decode_utf8(text.data() + at, text.data() + end, c);
    return length != 0 && (char_record(c).flags & kWhiteSpace) ? length : 0;
  }

  bool left_, right_;
};

class Prepend final : public Normalizer {
 public:
  explicit Prepend(std::string prefix) : prefix_(std::move(prefix)) {}

  void apply(const AlignedText& from, AlignedText& to) const override {
    to.start_like(from);
    if (from.size() == 0) return;
    to.write(prefix_, from.tracks() ? from.origin(0) : Origin{});
    to.keep(from, 0, from.size());
  }

 private:
  std::string prefix_;
};

class Replace final : public Normalizer {
 public:
  Replace(std::string pattern, std::string content)
      : pattern_(std::move(pattern)), content_(std::move(content)), border_(pattern_.size()) {
    for (std::size_t i = 1, k = 0; i < pattern_.size(); ++i) {
      while (k > 0 && pattern_[i] != pattern_[k]) k = border_[k - 1];
      if (pattern_[i] == pattern_[k]) ++k;
      border_[i] = k;
    }
  }

  void apply(const AlignedText& from, AlignedText& to) const override {
    if (pattern_.empty()) return insert_everywhere(from, to);
    SpanWriter writer(from, to);
    for (std::size_t at = 0; (at = find(from.view(), at)) != std::string_view::npos;) {
      const std::size_t end = at + pattern_.size();
      writer.replace(at, end, content_, end - 1);
      check_growth(writer.size(), from.size());
      at = end;
    }
    writer.finish();
  }
  SpaceCut space_cut() const override {
    return pattern_ == " " ? SpaceCut::kKept : SpaceCut::kNone;
  }

 private:
  // Next match at or after `at`, in linear time (Knuth, Morris & Pratt 1977).
  std::size_t find(std::string_view text, std::size_t at) const {
    for (std::size_t k = 0; at < text.size(); ++at) {
      if (k == 0) {
        const void* first = std::memchr(text.data() + at, pattern_[0], text.size() - at);
        if (first == nullptr) break;
        at = static_cast<std::size_t>(static_cast<const char*>(first) - text.data());
      }
      while (k > 0 && text[at] != pattern_[k]) k = border_[k - 1];
      if (text[at] == pattern_[k]) ++k;
      if (k == pattern_.size()) return at + 1 - k;
    }
    return std::string_view::npos;
  }

  // The empty pattern matches before each character and at the end, as an empty regex does.
  void insert_everywhere(const AlignedText& from, AlignedText& to) const {
    const Text text = from.text();
    to.start_like(from);
    if (text.empty()) return;
    for (std::size_t at = 0; at < text.size();) {
      Origin origin = from.tracks() ? from.origin(at == 0 ? 0 : at - 1) : Origin{};
      if (at == 0) origin.end = origin.begin;
      to.write(content_, origin);
      std::uint32_t c = 0;
      const unsigned length = decode_utf8(text.data() + at, text.data() + text.size(), c);
      const std::size_t end = at + (length == 0 ? 1 : length);
      to.keep(from, at, end);
      check_growth(to.size(), from.size());
      at = end;
    }
    to.write(content_, from.tracks() ? from.origin(text.size() - 1) : Origin{});
  }

  std::string pattern_, content_;
  std::vector<std::size_t> border_;  // of each prefix, the longest proper one that also ends it
};

class RegexReplace final : public Normalizer {
 public:
  RegexReplace(Regex regex, std::string content)
      : regex_(std::move(regex)), content_(std::move(content)) {}

  void apply(const AlignedText& from, AlignedText& to) const override {
    std::vector<Match> matches;
    regex_.find_all(from.text(), matches);
    to.start_like(from);
    if (from.size() == 0) return;
    std::size_t kept = 0;
    for (const Match& match : matches) {
      to.keep(from, kept, match.begin);
      to.write(content_, origin_before(from, match.end));
      check_growth(to.size(), from.size());
      kept = match.end;
    }
    to.keep(from, kept, from.size());
  }

 private:
  // Of the last byte that a match covers, or that it follows if it is empty.
  static Origin origin_before(const AlignedText& from, std::size_t end) {
    if (!from.tracks()) return {};
    return end > 0 ? from.origin(end - 1) : Origin{from.origin(0).begin, from.origin(0).begin};
  }

  Regex regex_;
  std::string content_;
};

}  // namespace

std::unique_ptr<Normalizer> make_strip(bool left, bool right) {
  return std::make_unique<Strip>(left, right);
}
std::unique_ptr<Normalizer> make_prepend(std::string prefix) {
  return std::make_unique<Prepend>(std::move(prefix));
}
std::unique_ptr<Normalizer> make_replace(std::string pattern, std::string content) {
  return std::make_unique<Replace>(std::move(pattern), std::move(content));
}
std::unique_ptr<Normalizer> make_regex_replace(std::string_view pattern, std::string content,
                                               const std::string& where) {
  return std::make_unique<RegexReplace>(Regex(pattern, RegexFlavor::kOniguruma, where),
                                        std::move(content));
}

}  // namespace llmcore::tokenizer
