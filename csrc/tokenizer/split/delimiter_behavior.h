// What becomes of the matches of a split.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "tokenizer/formats/json.h"
#include "tokenizer/split/pre_tokenizer.h"

namespace llmcore::tokenizer {

enum class DelimiterBehavior : std::uint8_t {
  kRemoved,
  kIsolated,
  kMergedWithPrevious,
  kMergedWithNext,
  kContiguous
};

// Throws DataError that names `where`.
DelimiterBehavior parse_behavior(const Json& value, const std::string& where);

// A stretch of a piece: a match or what lies between two; together they are the piece.
struct Stretch {
  std::uint32_t begin = 0, end = 0;
  bool is_match = false;
};

// Appends the pieces that `stretches` make; empty ones are left out.
void append_pieces(std::span<const Stretch> stretches, DelimiterBehavior behavior,
                   std::vector<Piece>& pieces);

}  // namespace llmcore::tokenizer
