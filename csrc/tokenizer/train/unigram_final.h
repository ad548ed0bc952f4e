// From trained pieces to a tokenizer: the ids, and the pieces that are no text.
#pragma once

#include <string>
#include <vector>

#include "tokenizer/formats/pieces.h"
#include "tokenizer/train/unigram_pieces.h"
#include "tokenizer/train/unigram_text.h"
#include "tokenizer/train/unigram_trainer.h"

namespace llmcore::tokenizer {

// A piece that is not learned; its id is its index where `is_set`.
struct MetaPiece {
  ModelPiece piece;
  bool is_set = false;
};

// Unknown, control, user-defined and byte pieces by id. Throws ConfigError where ids or texts
// collide.
std::vector<MetaPiece> meta_pieces(const UnigramTrainerArgs& args);

// The required characters and the pieces of the highest score, around the meta pieces.
TokenizerSpec finish_unigram(const UnigramText& text, const UnigramPieces& pieces,
                             const std::vector<MetaPiece>& meta, const UnigramTrainerArgs& args);

}  // namespace llmcore::tokenizer
