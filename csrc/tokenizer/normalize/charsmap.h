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

  // Whether a rule's left side may start with the character `c`; whether one lies within it.
  bool may_start(std::uint32_t c) const { return c > 0xFFFF || test(starts_, c); }
  bool may_rewrite(std::uint32_t c) const { return c > 0xFFFF || test(rewrites_, c); }
  // Whether a left side may start with ASCII byte `b` and go on in ASCII, or end there.
  bool may_start_in_ascii(std::uint8_t b) const { return ascii_starts_[b]; }

 private:
  // A left side is this long at most; it bounds the walk through a trie that has cycles.
  static constexpr std::size_t kLongestKey = 256;
  using Bits = std::vector<std::uint64_t>;

  static bool test(const Bits& bits, std::uint32_t c) {
    return !bits.empty() && (bits[c >> 6] >> (c & 63) & 1) != 0;
  }
  // Moves `node` along byte `b`; false at a dead end. `ends`: a left side ends here.
  bool step(std::size_t& node, std::uint8_t b, bool& ends) const;
  std::size_t root() const;
  Match find(Text text, std::size_t at, bool longest) const;
  void index_characters();

  std::vector<std::uint32_t> units_;
  std::string pool_;
  Bits starts_, rewrites_;  // by code point of the BMP
  std::array<bool, 128> ascii_starts_{};
};

}  // namespace llmcore::tokenizer
