// The seed vocabulary: all characters, and the substrings that cover the most text.
#pragma once

#include "tokenizer/train/unigram_pieces.h"
#include "tokenizer/train/unigram_text.h"
#include "tokenizer/train/unigram_trainer.h"

namespace llmcore::tokenizer {

// Scores are log(occurrences * length), normalised. Substrings are the nodes of the words' suffix
// tree, found as intervals of the suffix array. Source: Abouelhoda, Kurtz & Ohlebusch 2004.
UnigramPieces seed_pieces(const UnigramText& text, const UnigramTrainerArgs& args);

}  // namespace llmcore::tokenizer
