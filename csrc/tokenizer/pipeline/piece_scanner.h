// How the encoder asks for pre-tokens: a batch at a time, so that one virtual call serves many.
#pragma once

#include <cstddef>
#include <cstdint>

namespace llmcore::tokenizer {

class PieceScanner {
 public:
  virtual ~PieceScanner() = default;
  // Writes the ends of the next pre-tokens from p on (p < end; p begins one), at least one and at
  // most `max` of them, and returns their number. Pre-tokens follow each other without a gap.
  virtual std::size_t scan(const std::uint8_t* p, const std::uint8_t* end,
                           const std::uint8_t** ends, std::size_t max) const = 0;
  // First position in [from, end) where the text may be cut without moving a piece boundary, or
  // end.
  virtual const std::uint8_t* safe_cut(const std::uint8_t* begin, const std::uint8_t* from,
                                       const std::uint8_t* end) const = 0;
};

}  // namespace llmcore::tokenizer
