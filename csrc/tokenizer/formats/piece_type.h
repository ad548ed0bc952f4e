// What a piece of a SentencePiece model is, with the numbers of its files.
#pragma once

#include <cstdint>

namespace llmcore::tokenizer {

enum class PieceType : std::uint8_t {
  kNormal = 1,
  kUnknown = 2,
  kControl = 3,
  kUserDefined = 4,
  kUnused = 5,
  kByte = 6
};

}  // namespace llmcore::tokenizer
