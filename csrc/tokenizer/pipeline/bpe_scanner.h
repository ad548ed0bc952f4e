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

// From two functions: the end of the pre-token at p, and safe_cut.
template <auto kNextPiece, auto kSafeCut>
class FunctionScanner : public PieceScanner {
 public:
  std::size_t scan(const std::uint8_t* p, const std::uint8_t* end, const std::uint8_t** ends,
                   std::size_t max) const override {
    std::size_t count = 0;
    while (p < end && count < max) ends[count++] = p = kNextPiece(p, end);
    return count;
  }
  const std::uint8_t* safe_cut(const std::uint8_t* begin, const std::uint8_t* from,
                               const std::uint8_t* end) const override {
    return kSafeCut(begin, from, end);
  }
};

// GPT-2's pattern, 64 bytes at a time over ASCII.
const PieceScanner& gpt2_piece_scanner();

}  // namespace llmcore::tokenizer
