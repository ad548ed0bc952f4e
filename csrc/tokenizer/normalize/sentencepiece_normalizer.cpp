// SentencePiece's own normalizer: the longest rule at each place, then white space.
#include <algorithm>
#include <bit>
#include <cstring>
#include <functional>
#include <memory>
#include <unordered_map>
#include <utility>

#include "tokenizer/errors.h"
#include "tokenizer/normalize/charsmap_normalizers.h"
#include "tokenizer/normalize/span_writer.h"
#include "tokenizer/text/utf8.h"

namespace llmcore::tokenizer {
namespace {

// A string that grows without being cleared first.
class Buffer {
 public:
  // Room for `count` more bytes, and then for as many as the text still has.
  char* room(std::size_t count, std::size_t more) {
    if (size_ + count > capacity_) grow(count + more);
    return data_.get() + size_;
  }
  void advance(std::size_t count) { size_ += count; }
  void append(std::string_view bytes, std::size_t more) {
    if (bytes.empty()) return;
    std::memcpy(room(bytes.size(), more), bytes.data(), bytes.size());
    size_ += bytes.size();
  }
  void resize(std::size_t size) { size_ = size; }
  std::size_t size() const { return size_; }
  std::string_view view() const { return {data_.get(), size_}; }

 private:
  void grow(std::size_t count) {
    capacity_ = size_ + size_ / 2 + count + count / 4 + 64;
    auto data = std::make_unique_for_overwrite<char[]>(capacity_);
    if (size_ > 0) std::memcpy(data.get(), data_.get(), size_);
    data_ = std::move(data);
  }
  std::unique_ptr<char[]> data_;
  std::size_t size_ = 0, capacity_ = 0;
};

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
    printable_is_plain_ = std::all_of(&plain_[0x21], &plain_[0x7F], std::identity{});
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
    const bool is_suffix = options_.treat_whitespace_as_suffix;
    if (!is_suffix && options_.add_dummy_prefix) write(pass, space_);
    write_all(pass);
    if (options_.remove_extra_whitespaces) drop_trailing(pass);
    if (is_suffix && options_.add_dummy_prefix) write(pass, space_);
    deliver(pass, to);
  }
  // A rule or symbol that reaches over the space would have to hold ASCII behind its first byte.
  SpaceCut space_cut() const override {
    const bool marks = options_.add_dummy_prefix && options_.escape_whitespaces &&
                       !options_.treat_whitespace_as_suffix;
    bool rules_reach = charsmap_.goes_on_in_ascii();
    for (std::uint8_t b = 0x20; b < 0x7F; ++b) rules_reach |= charsmap_.may_start_in_ascii(b);
    const bool symbols_reach = std::ranges::any_of(
        options_.user_defined_symbols,
        [](const std::string& symbol) { return symbol.find(' ') != std::string::npos; });
    if (!marks || rules_reach || symbols_reach) return SpaceCut::kNone;
    return options_.remove_extra_whitespaces ? SpaceCut::kCollapsed : SpaceCut::kDropped;
  }

 private:
  static constexpr std::size_t kBlock = 1024;

  struct Pass {
    const AlignedText& from;
    Text text;
    Buffer out;
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
    if (length == 0 || charsmap_.may_match(text, at, c, length)) {
      const Charsmap::Match match = charsmap_.longest(text, at);
      if (match.length != 0) return match;
    }
    if (length == 0) return {1, "\xEF\xBF\xBD"};
    return {length, as_view(text.subspan(at, length))};
  }

  void write_all(Pass& pass) const {
    bool after_space = options_.remove_extra_whitespaces;
    while (pass.at < pass.text.size()) {
      if (!pass.from.tracks() && copy_plain(pass, after_space)) continue;
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

  // Copies characters that no rule touches, and plain spaces, where no one asks for origins; false
  // if the first is none of these.
  bool copy_plain(Pass& pass, bool& after_space) const {
    const std::size_t begin = pass.at;
    bool goes_on = true;
    while (goes_on && pass.at < pass.text.size()) {
      const std::size_t size = std::min(kBlock, pass.text.size() - pass.at);
      char* out = pass.out.room(4 * kBlock, pass.text.size() - pass.at);
      const std::size_t stop = pass.at + size;
      pass.out.advance(copy_block(pass.text, pass.at, stop, out, after_space));
      goes_on = pass.at >= stop;
    }
    return pass.at > begin;
  }
  // How many of the 8 bytes at `p` are printable, no space and not before a wide character. A
  // carry or borrow only reaches bytes behind the first that is none of these.
  static unsigned printable_run(const std::uint8_t* p) {
    constexpr std::uint64_t kOnes = 0x0101010101010101;
    std::uint64_t word = 0;
    for (unsigned i = 0; i < 8; ++i) word |= std::uint64_t{p[i]} << (8 * i);
    const std::uint64_t others = ((word - 0x21 * kOnes) | (word + kOnes) | word) & (0x80 * kOnes);
    if (others == 0) return 7;
    const auto run = static_cast<unsigned>(std::countr_zero(others)) / 8;
    return run > 0 && p[run] >= 0x80 ? run - 1 : run;
  }
  // The same from `at`, which it moves, until `stop` is reached. Returns the bytes written.
  std::size_t copy_block(Text text, std::size_t& at, std::size_t stop, char* const out,
                         bool& after_space) const {
    const std::uint8_t *p = text.data() + at, *const end = text.data() + text.size();
    const std::uint8_t* const last = text.data() + stop;
    char* next = out;
    bool drops_space = after_space;
    while (p < last) {
      if (printable_is_plain_ && last - p >= 8) {
        std::memcpy(next, p, 8);
        const unsigned run = printable_run(p);
        if (run > 0) drops_space = false;
        next += run;
        p += run;
        if (run == 7) continue;
      }
      const std::uint8_t b = *p;
      std::uint32_t c = b;
      unsigned length = 1;
      if (b >= 0x80) {
        length = decode_utf8(p, end, c);
        if (length == 0 || symbols_.may_start(b) || may_match(text, p, c, length)) break;
        std::memcpy(next, p, length);
      } else {
        const bool is_space = b == ' ' && space_is_plain_;
        if (!plain_[b] && !is_space) break;
        if (p + 1 < end && p[1] >= 0x80 && may_match(text, p, c, 1)) break;
        *next = static_cast<char>(b);
        if (is_space) {
          if (!drops_space) next = std::copy(space_.begin(), space_.end(), next);
          drops_space = options_.remove_extra_whitespaces;
          ++p;
          continue;
        }
      }
      drops_space = false;
      next += length;
      p += length;
    }
    after_space = drops_space;
    at = static_cast<std::size_t>(p - text.data());
    return static_cast<std::size_t>(next - out);
  }
  bool may_match(Text text, const std::uint8_t* p, std::uint32_t c, unsigned length) const {
    return charsmap_.may_match(text, static_cast<std::size_t>(p - text.data()), c, length);
  }

  void write(Pass& pass, std::string_view bytes) const {
    pass.out.append(bytes, pass.text.size() - pass.at);
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
    while (pass.out.view().ends_with(space_)) {
      pass.out.resize(pass.out.size() - space_.size());
      if (!pass.from.tracks()) continue;
      pass.at = pass.sources[pass.out.size()];
      pass.sources.resize(pass.out.size());
    }
  }

  static void deliver(Pass& pass, AlignedText& to) {
    if (!pass.from.tracks()) return to.write(pass.out.view(), {});
    const auto origin_at = [&](std::size_t at) {
      const bool is_end = at == pass.text.size();
      return is_end ? pass.from.origin(at - 1).end : pass.from.origin(at).begin;
    };
    for (std::size_t i = 0; i < pass.out.size(); ++i) {
      const std::size_t next = i + 1 < pass.out.size() ? pass.sources[i + 1] : pass.at;
      to.write(pass.out.view().substr(i, 1), {origin_at(pass.sources[i]), origin_at(next)});
    }
  }

  Charsmap charsmap_;
  SentencePieceOptions options_;
  std::string_view space_;
  SymbolTrie symbols_;
  std::array<bool, 128> plain_{};
  bool space_is_plain_ = false, printable_is_plain_ = false;
};

}  // namespace

std::unique_ptr<Normalizer> make_sentencepiece(Charsmap charsmap, SentencePieceOptions options) {
  return std::make_unique<SentencePiece>(std::move(charsmap), std::move(options));
}

}  // namespace llmcore::tokenizer
