// The seed vocabulary: all characters, and the substrings that cover the most text.
#pragma once

#include <cstdint>
#include <vector>

#include "tokenizer/train/unigram_pieces.h"
#include "tokenizer/train/unigram_text.h"
#include "tokenizer/train/unigram_trainer.h"

namespace llmcore::tokenizer {

// A piece of the vocabulary that is extended, in symbols of the text.
struct OldPiece {
  std::uint32_t id = 0;
  std::vector<std::uint32_t> symbols;
};

// Scores are log(occurrences * length), normalised. Substrings are the nodes of the words' suffix
// tree, found as intervals of the suffix array. Source: Abouelhoda, Kurtz & Ohlebusch 2004.
UnigramPieces seed_pieces(const UnigramText& text, const UnigramTrainerArgs& args);
// The same and `old`, where the text holds them; `scores` are the old ones by id. The scores of the
// new pieces alone are normalised, to the sum of the old vocabulary's probabilities.
UnigramPieces seed_pieces(const UnigramText& text, const UnigramTrainerArgs& args,
                          const std::vector<OldPiece>& old, std::vector<double> scores,
                          double log_old_mass);

}  // namespace llmcore::tokenizer
