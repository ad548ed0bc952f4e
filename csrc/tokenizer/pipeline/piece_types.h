// Types of a SentencePiece model's pieces, which a spec keeps in `extra`.
#pragma once

#include <string>
#include <vector>

#include "tokenizer/formats/piece_type.h"
#include "tokenizer/formats/spec.h"

namespace llmcore::tokenizer {

// By id; empty where the spec does not say. Throws DataError for an id that has no token.
std::vector<PieceType> piece_types(const TokenizerSpec& spec);
// The texts that the spec keeps out of `tokens` so that no text gives them.
struct HiddenText {
  std::size_t id = 0;
  std::string text;
};
std::vector<HiddenText> hidden_texts(const TokenizerSpec& spec);
// SentencePiece's own decoder for the spec, as a component.
std::string sentencepiece_decoder(const TokenizerSpec& spec);

}  // namespace llmcore::tokenizer
