// Types of a SentencePiece model's pieces, which a spec keeps in `extra`.
#pragma once

#include <vector>

#include "tokenizer/formats/piece_type.h"
#include "tokenizer/formats/spec.h"

namespace llmcore::tokenizer {

// By id; empty where the spec does not say. Throws DataError for an id that has no token.
std::vector<PieceType> piece_types(const TokenizerSpec& spec);

}  // namespace llmcore::tokenizer
