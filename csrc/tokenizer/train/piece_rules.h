// Which texts SentencePiece's trainer takes as pieces.
// Source: google/sentencepiece, TrainerInterface::IsValidSentencePiece.
#pragma once

#include <cstddef>
#include <string_view>

namespace llmcore::tokenizer {

struct PieceRules {
  std::size_t max_chars = 16;
  bool split_by_unicode_script = true;  // no piece has characters of two scripts
  bool split_by_number = true;          // digits are a script of their own
  bool split_digits = false;            // every digit is a piece of its own

  bool allows(std::string_view piece) const;
};

}  // namespace llmcore::tokenizer
