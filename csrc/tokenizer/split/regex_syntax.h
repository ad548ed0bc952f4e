// A split pattern as a tree, from the syntax that Oniguruma and Rust's fancy-regex share.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "tokenizer/split/code_point_set.h"

namespace llmcore::tokenizer {

// Whose meaning of ^, $, \w, (?m) and {1,3}+ counts: of tokenizer.json files, or of tiktoken.
enum class RegexFlavor : std::uint8_t { kOniguruma, kFancyRegex };

enum class Greed : std::uint8_t { kGreedy, kLazy, kPossessive };

inline constexpr int kUnlimited = -1;

struct RegexNode {
  enum class Kind : std::uint8_t {
    kEmpty,
    kSet,        // one character of `set`
    kAhead,      // the next character is in `set`; or the text ends, if at_edge
    kBehind,     // the last character was in `set`; or the text starts, if at_edge
    kConcat,     // children in order
    kAlternate,  // the first child that leads to a match
    kRepeat      // the one child `least` to `most` times
  };
  Kind kind = Kind::kEmpty;
  Greed greed = Greed::kGreedy;
  bool at_edge = false;
  int least = 0, most = 0;
  CodePointSet set = {};
  std::vector<RegexNode> children = {};
};

// Throws DataError "WHERE: ..." that names what is wrong or unsupported.
RegexNode parse_regex(std::string_view pattern, RegexFlavor flavor, std::string_view where);

}  // namespace llmcore::tokenizer
