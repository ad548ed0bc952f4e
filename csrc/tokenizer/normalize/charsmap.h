// SentencePiece's precompiled_charsmap: rewrite rules as a double-array trie (darts-clone) over
// their left sides, whose values are places in a pool of NUL-terminated right sides.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "tokenizer/text/aligned_text.h"

namespace llmcore::tokenizer {

class Charsmap {
 public:
  // `length`: bytes that the left side takes; 0 if no rule applies.
  struct Match {
    std::size_t length = 0;
    std::string_view output;
  };

  // No rules for an empty string. Throws DataError "WHERE: must be ..., got ...".
  static Charsmap from_base64(std::string_view base64, const std::string& where);

  // The rule with the longest, or the shortest, left side that starts at `at`.
  Match longest(Text text, std::size_t at) const { return find(text, at, true); }
  Match shortest(Text text, std::size_t at) const { return find(text, at, false); }

  // Whether a left side may start at `at`, where the character `c` of `length` bytes is.
  bool may_match(Text text, std::size_t at, std::uint32_t c, unsigned length) const {
    if (c > 0xFFFF) return true;
    if (!test(starts_, c)) return false;
    if (test(rewrites_, c) || at + length >= text.size()) return test(rewrites_, c);
    const std::size_t next = at + length;
    return test(continues_, pair_of(text[next], next + 1 < text.size() ? text[next + 1] : 0));
  }
  // Whether a left side lies within the character `c`.
  bool may_rewrite(std::uint32_t c) const { return c > 0xFFFF || test(rewrites_, c); }
  // Whether a left side may start with ASCII byte `b` and go on in ASCII, or end there.
  bool may_start_in_ascii(std::uint8_t b) const { return ascii_starts_[b]; }
  // Whether a left side may have an ASCII byte behind its first byte. Walks the trie.
  bool goes_on_in_ascii() const;

 private:
  // A left side is this long at most; it bounds the walk through a trie that has cycles.
  static constexpr std::size_t kLongestKey = 256;
  using Bits = std::vector<std::uint64_t>;

  static bool test(const Bits& bits, std::uint32_t c) {
    return !bits.empty() && (bits[c >> 6] >> (c & 63) & 1) != 0;
  }
  static void set(Bits& bits, std::uint32_t c) { bits[c >> 6] |= std::uint64_t{1} << (c & 63); }
  // Moves `node` along byte `b`; false at a dead end. `ends`: a left side ends here.
  bool step(std::size_t& node, std::uint8_t b, bool& ends) const;
  std::size_t root() const;
  Match find(Text text, std::size_t at, bool longest) const;
  static std::uint32_t pair_of(std::uint8_t first, std::uint8_t second) {
    return std::uint32_t{first} << 8 | (first < 0x80 ? 0 : second);
  }
  void index_characters();
  void index_second_characters(std::size_t node, std::size_t& num_steps);

  std::vector<std::uint32_t> units_;
  std::string pool_;
  Bits starts_, rewrites_;  // by code point of the BMP
  Bits continues_;          // by the first two bytes of a left side's second character
  std::array<bool, 128> ascii_starts_{};
};

}  // namespace llmcore::tokenizer
