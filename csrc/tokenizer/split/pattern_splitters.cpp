#include "tokenizer/split/pattern_splitters.h"

#include <cstring>
#include <utility>

#include "tokenizer/split/regex.h"
#include "tokenizer/split/scan_pieces.h"

namespace llmcore::tokenizer {
namespace {

// Calls split_one(bytes of the piece, its offset, result) for each piece.
template <class SplitOne>
void split_each(const AlignedText& text, std::vector<Piece>& pieces, SplitOne&& split_one) {
  std::vector<Piece> result;
  for (const Piece& piece : pieces) {
    split_one(text.text().subspan(piece.begin, piece.end - piece.begin), piece.begin, result);
  }
  pieces.swap(result);
}

class KnownSplit : public PreTokenizer {
 public:
  explicit KnownSplit(KnownPattern pattern) : pattern_(pattern) {}

  void split(AlignedText& text, std::vector<Piece>& pieces, bool) const override {
    split_each(text, pieces, [&](Text bytes, std::uint32_t offset, std::vector<Piece>& result) {
      const std::uint8_t* base = bytes.data();
      for_each_piece(pattern_, base, base + bytes.size(),
                     [&](const std::uint8_t* begin, const std::uint8_t* end) {
                       result.push_back({offset + static_cast<std::uint32_t>(begin - base),
                                         offset + static_cast<std::uint32_t>(end - base)});
                     });
    });
  }

 private:
  KnownPattern pattern_;
};

// The stretches of a piece, given its matches one after the other.
class Stretches {
 public:
  Stretches(std::uint32_t offset, bool invert) : offset_(offset), invert_(invert) {}

  void add_match(std::size_t begin, std::size_t end) {
    if (last_ != begin) add(last_, begin, false);
    add(begin, end, true);
    last_ = end;
  }
  std::span<const Stretch> finish(std::size_t size) {
    if (last_ != size) add(last_, size, false);
    return stretches_;
  }

 private:
  void add(std::size_t begin, std::size_t end, bool is_match) {
    stretches_.push_back({offset_ + static_cast<std::uint32_t>(begin),
                          offset_ + static_cast<std::uint32_t>(end), is_match != invert_});
  }
  std::uint32_t offset_;
  bool invert_;
  std::size_t last_ = 0;
  std::vector<Stretch> stretches_;
};

class RegexSplit : public PreTokenizer {
 public:
  RegexSplit(Regex regex, DelimiterBehavior behavior, bool invert)
      : regex_(std::move(regex)), behavior_(behavior), invert_(invert) {}

  void split(AlignedText& text, std::vector<Piece>& pieces, bool) const override {
    std::vector<Match> matches;
    split_each(text, pieces, [&](Text bytes, std::uint32_t offset, std::vector<Piece>& result) {
      matches.clear();
      regex_.find_all(bytes, matches);
      Stretches stretches(offset, invert_);
      for (const Match& match : matches) stretches.add_match(match.begin, match.end);
      append_pieces(stretches.finish(bytes.size()), behavior_, result);
    });
  }

 private:
  Regex regex_;
  DelimiterBehavior behavior_;
  bool invert_;
};

// Knuth, Morris & Pratt 1977: linear whatever the text repeats.
class StringSplit : public PreTokenizer {
 public:
  StringSplit(std::string_view pattern, DelimiterBehavior behavior, bool invert)
      : pattern_(pattern), borders_(pattern.size() + 1), behavior_(behavior), invert_(invert) {
    for (std::size_t i = 1, k = 0; i < pattern.size(); ++i) {
      while (k > 0 && pattern[i] != pattern[k]) k = borders_[k];
      if (pattern[i] == pattern[k]) ++k;
      borders_[i + 1] = k;
    }
  }

  void split(AlignedText& text, std::vector<Piece>& pieces, bool) const override {
    split_each(text, pieces, [&](Text bytes, std::uint32_t offset, std::vector<Piece>& result) {
      Stretches stretches(offset, invert_);
      std::size_t k = 0;
      for (std::size_t i = 0; i < bytes.size(); ++i) {
        const char c = static_cast<char>(bytes[i]);
        while (k > 0 && c != pattern_[k]) k = borders_[k];
        if (c == pattern_[k]) ++k;
        if (k < pattern_.size()) continue;
        stretches.add_match(i + 1 - k, i + 1);
        k = 0;
      }
      append_pieces(stretches.finish(bytes.size()), behavior_, result);
    });
  }

 private:
  std::string pattern_;
  std::vector<std::size_t> borders_;
  DelimiterBehavior behavior_;
  bool invert_;
};

class PrefixSpace : public PreTokenizer {
 public:
  void split(AlignedText& text, std::vector<Piece>& pieces, bool) const override {
    AlignedText rewritten;
    rewritten.start_like(text);
    for (Piece& piece : pieces) {
      const auto begin = static_cast<std::uint32_t>(rewritten.size());
      if (text.view()[piece.begin] != ' ') {
        rewritten.write(" ", text.origin(piece.begin, piece.begin + 1));
      }
      rewritten.keep(text, piece.begin, piece.end);
      piece = {begin, static_cast<std::uint32_t>(rewritten.size())};
    }
    text.swap(rewritten);
  }
};

class Metaspace : public PreTokenizer {
 public:
  Metaspace(std::string_view replacement, PrependScheme scheme, bool split)
      : replacement_(replacement), scheme_(scheme), split_(split) {}

  void split(AlignedText& text, std::vector<Piece>& pieces, bool is_start) const override {
    AlignedText rewritten;
    rewritten.start_like(text);
    for (Piece& piece : pieces) {
      const bool prepends = scheme_ == PrependScheme::kAlways ||
                            (scheme_ == PrependScheme::kFirst && is_start && piece.begin == 0);
      const auto begin = static_cast<std::uint32_t>(rewritten.size());
      rewrite(text, piece, prepends, rewritten);
      piece = {begin, static_cast<std::uint32_t>(rewritten.size())};
    }
    text.swap(rewritten);
    if (split_) split_before_replacements(text, pieces);
  }

 private:
  void rewrite(const AlignedText& text, const Piece& piece, bool prepends,
               AlignedText& rewritten) const {
    const std::string_view bytes = text.view().substr(0, piece.end);
    const std::string_view rest = bytes.substr(piece.begin);
    if (prepends && !rest.starts_with(' ') && !rest.starts_with(replacement_)) {
      rewritten.write(replacement_, text.origin(piece.begin, piece.begin + 1));
    }
    for (std::size_t at = piece.begin; at < piece.end;) {
      const std::size_t space = std::min(bytes.find(' ', at), bytes.size());
      rewritten.keep(text, at, space);
      if (space < piece.end) rewritten.write(replacement_, text.origin(space, space + 1));
      at = space + 1;
    }
  }

  void split_before_replacements(const AlignedText& text, std::vector<Piece>& pieces) const {
    std::vector<Piece> result;
    for (const Piece& piece : pieces) {
      const std::string_view bytes = text.view().substr(0, piece.end);
      std::size_t begin = piece.begin;
      for (std::size_t at = begin; at < piece.end;) {
        at = std::min(bytes.find(replacement_, at), bytes.size());
        if (at > begin) {
          result.push_back({static_cast<std::uint32_t>(begin), static_cast<std::uint32_t>(at)});
        }
        begin = at;
        at += replacement_.size();
      }
      if (begin < piece.end) result.push_back({static_cast<std::uint32_t>(begin), piece.end});
    }
    pieces.swap(result);
  }

  std::string replacement_;
  PrependScheme scheme_;
  bool split_;
};

}  // namespace

std::unique_ptr<PreTokenizer> make_known_split(KnownPattern pattern) {
  return std::make_unique<KnownSplit>(pattern);
}

std::unique_ptr<PreTokenizer> make_regex_split(std::string_view pattern, DelimiterBehavior behavior,
                                               bool invert, const std::string& where) {
  const std::optional<KnownPattern> known = find_oniguruma_pattern(pattern);
  // Known patterns match everything.
  const bool keeps_all = behavior == DelimiterBehavior::kIsolated ||
                         (behavior == DelimiterBehavior::kRemoved && invert);
  if (known && keeps_all) return make_known_split(*known);
  return std::make_unique<RegexSplit>(Regex(pattern, RegexFlavor::kOniguruma, where), behavior,
                                      invert);
}

std::unique_ptr<PreTokenizer> make_string_split(std::string_view pattern,
                                                DelimiterBehavior behavior, bool invert) {
  if (pattern.empty()) return make_regex_split("", behavior, invert, "pattern");
  return std::make_unique<StringSplit>(pattern, behavior, invert);
}

std::unique_ptr<PreTokenizer> make_prefix_space() {
  return std::make_unique<PrefixSpace>();
}

std::unique_ptr<PreTokenizer> make_metaspace(std::string_view replacement, PrependScheme scheme,
                                             bool split) {
  return std::make_unique<Metaspace>(replacement, scheme, split);
}

}  // namespace llmcore::tokenizer
