// SentencePiece's own normalizer: the longest rule at each place, then white space.
#include <algorithm>
#include <unordered_map>
#include <utility>

#include "tokenizer/errors.h"
#include "tokenizer/normalize/charsmap_normalizers.h"
#include "tokenizer/normalize/span_writer.h"
#include "tokenizer/text/utf8.h"

namespace llmcore::tokenizer {
namespace {

constexpr std::string_view kSpaceSymbol = "\xE2\x96\x81";

// Longest member of a set of strings that starts at a place.
class SymbolTrie {
 public:
  void add(std::string_view symbol) {
    std::uint32_t node = 0;
    for (const char c : symbol) {
      const auto next = static_cast<std::uint32_t>(ends_.size());
      const auto [edge, is_new] = edges_.try_emplace(key(node, static_cast<std::uint8_t>(c)), next);
      if (is_new) ends_.push_back(false);
      node = edge->second;
    }
    ends_[node] = true;
    starts_[static_cast<std::uint8_t>(symbol[0])] = true;
  }
  bool may_start(std::uint8_t b) const { return starts_[b]; }
  std::size_t longest(Text text, std::size_t at) const {
    std::size_t length = 0;
    if (!starts_[text[at]]) return length;
    std::uint32_t node = 0;
    for (std::size_t i = at; i < text.size(); ++i) {
      const auto edge = edges_.find(key(node, text[i]));
      if (edge == edges_.end()) break;
      node = edge->second;
      if (ends_[node]) length = i + 1 - at;
    }
    return length;
  }

 private:
  static std::uint64_t key(std::uint32_t node, std::uint8_t b) {
    return std::uint64_t{node} << 8 | b;
  }
  std::unordered_map<std::uint64_t, std::uint32_t> edges_;
  std::vector<bool> ends_{false};
  std::array<bool, 256> starts_{};
};

class SentencePiece final : public Normalizer {
 public:
  SentencePiece(Charsmap charsmap, SentencePieceOptions options)
      : charsmap_(std::move(charsmap)),
        options_(std::move(options)),
        space_(options_.escape_whitespaces ? kSpaceSymbol : " ") {
    for (const std::string& symbol : options_.user_defined_symbols) {
      if (!symbol.empty()) symbols_.add(symbol);
    }
    for (unsigned b = 0; b < 128; ++b) {
      const auto byte = static_cast<std::uint8_t>(b);
      plain_[b] = !charsmap_.may_start_in_ascii(byte) && !symbols_.may_start(byte);
    }
    space_is_plain_ = plain_[' '];
    plain_[' '] = false;
  }

  void apply(const AlignedText& from, AlignedText& to) const override {
    to.start_like(from);
    Pass pass{from, from.text(), {}, {}};
    if (pass.text.empty()) return;
    while (options_.remove_extra_whitespaces && pass.at < pass.text.size()) {
      const Charsmap::Match prefix = read_prefix(pass.text, pass.at);
      if (prefix.output != " ") break;
      pass.at += prefix.length;
    }
    if (pass.at == pass.text.size()) return;
    pass.out.reserve(pass.text.size() + pass.text.size() / 4 + 16);
    const bool is_suffix = options_.treat_whitespace_as_suffix;
    if (!is_suffix && options_.add_dummy_prefix) write(pass, space_);
    write_all(pass);
    if (options_.remove_extra_whitespaces) drop_trailing(pass);
    if (is_suffix && options_.add_dummy_prefix) write(pass, space_);
    deliver(pass, to);
  }

 private:
  struct Pass {
    const AlignedText& from;
    Text text;
    std::string out;
    std::vector<std::uint32_t> sources;  // byte of the text for each byte of `out`, where tracked
    std::size_t at = 0;
  };

  // What stands for the bytes at `at`, and how many they are.
  Charsmap::Match read_prefix(Text text, std::size_t at) const {
    if (const std::size_t length = symbols_.longest(text, at)) {
      return {length, as_view(text.subspan(at, length))};
    }
    std::uint32_t c = 0;
    const unsigned length = decode_utf8(text.data() + at, text.data() + text.size(), c);
    if (length == 0 || charsmap_.may_start(c)) {
      const Charsmap::Match match = charsmap_.longest(text, at);
      if (match.length != 0) return match;
    }
    if (length == 0) return {1, "\xEF\xBF\xBD"};
    return {length, as_view(text.subspan(at, length))};
  }

  void write_all(Pass& pass) const {
    bool after_space = options_.remove_extra_whitespaces;
    while (pass.at < pass.text.size()) {
      if (const std::size_t end = plain_end(pass.text, pass.at); end > pass.at) {
        keep(pass, end);
        after_space = false;
        continue;
      }
      if (space_is_plain_ && pass.text[pass.at] == ' ' && !is_before_wide(pass.text, pass.at)) {
        if (!after_space) write(pass, space_);
        after_space = options_.remove_extra_whitespaces;
        ++pass.at;
        continue;
      }
      Charsmap::Match prefix = read_prefix(pass.text, pass.at);
      while (after_space && prefix.output.starts_with(' ')) prefix.output.remove_prefix(1);
      if (!prefix.output.empty()) {
        write_escaped(pass, prefix.output);
        after_space = options_.remove_extra_whitespaces && prefix.output.ends_with(' ');
        check_growth(pass.out.size(), pass.text.size());
      }
      pass.at += prefix.length;
    }
  }

  static bool is_before_wide(Text text, std::size_t at) {
    return at + 1 < text.size() && text[at + 1] >= 0x80;
  }
  // End of the ASCII from `at` on that stays and is no space. A rule may take an ASCII character
  // with a wide one behind it.
  std::size_t plain_end(Text text, std::size_t at) const {
    const std::size_t begin = at;
    while (at < text.size() && text[at] < 0x80 && plain_[text[at]]) ++at;
    return at > begin && at < text.size() && text[at] >= 0x80 ? at - 1 : at;
  }

  void keep(Pass& pass, std::size_t end) const {
    pass.out.append(as_view(pass.text.subspan(pass.at, end - pass.at)));
    for (; pass.at < end && pass.from.tracks(); ++pass.at) {
      pass.sources.push_back(static_cast<std::uint32_t>(pass.at));
    }
    pass.at = end;
  }
  void write(Pass& pass, std::string_view bytes) const {
    pass.out.append(bytes);
    if (pass.from.tracks()) {
      pass.sources.insert(pass.sources.end(), bytes.size(), static_cast<std::uint32_t>(pass.at));
    }
  }
  void write_escaped(Pass& pass, std::string_view bytes) const {
    while (!bytes.empty()) {
      const std::size_t space = std::min(bytes.find(' '), bytes.size());
      write(pass, bytes.substr(0, space));
      if (space < bytes.size()) write(pass, space_);
      bytes.remove_prefix(std::min(space + 1, bytes.size()));
    }
  }
  void drop_trailing(Pass& pass) const {
    while (std::string_view(pass.out).ends_with(space_)) {
      pass.out.resize(pass.out.size() - space_.size());
      if (!pass.from.tracks()) continue;
      pass.at = pass.sources[pass.out.size()];
      pass.sources.resize(pass.out.size());
    }
  }

  static void deliver(Pass& pass, AlignedText& to) {
    if (!pass.from.tracks()) return to.write(pass.out, {});
    const auto origin_at = [&](std::size_t at) {
      const bool is_end = at == pass.text.size();
      return is_end ? pass.from.origin(at - 1).end : pass.from.origin(at).begin;
    };
    for (std::size_t i = 0; i < pass.out.size(); ++i) {
      const std::size_t next = i + 1 < pass.out.size() ? pass.sources[i + 1] : pass.at;
      to.write({pass.out.data() + i, 1}, {origin_at(pass.sources[i]), origin_at(next)});
    }
  }

  Charsmap charsmap_;
  SentencePieceOptions options_;
  std::string_view space_;
  SymbolTrie symbols_;
  std::array<bool, 128> plain_{};
  bool space_is_plain_ = false;
};

}  // namespace

std::unique_ptr<Normalizer> make_sentencepiece(Charsmap charsmap, SentencePieceOptions options) {
  return std::make_unique<SentencePiece>(std::move(charsmap), std::move(options));
}

}  // namespace llmcore::tokenizer
