// Kinds of SentencePiece's pieces, which a spec keeps in `extra`, as its two models take them.
#pragma once

#include <vector>

#include "tokenizer/formats/spec.h"
#include "tokenizer/models/bpe.h"
#include "tokenizer/models/unigram.h"

namespace llmcore::tokenizer {

// Empty where the spec does not say. Throws DataError for an id that has no token.
std::vector<PieceType> unigram_types(const TokenizerSpec& spec);
// The same for the other model.
std::vector<PieceKind> bpe_kinds(const TokenizerSpec& spec);

}  // namespace llmcore::tokenizer
