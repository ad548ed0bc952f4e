// EM and pruning in turns, from seeds to about as many pieces as wanted.
#pragma once

#include <cstddef>

#include "tokenizer/train/unigram_pieces.h"
#include "tokenizer/train/unigram_text.h"
#include "tokenizer/train/unigram_trainer.h"

namespace llmcore::tokenizer {

// Throws ConfigError, as `op`, for options of the training itself that are out of range.
void check_unigram_args(const UnigramTrainerArgs& args, const char* op, float least_coverage);

// Leaves about `size` new pieces, a tenth more at most, with their last scores.
void settle_pieces(const UnigramText& text, UnigramPieces& pieces, std::size_t size,
                   const UnigramTrainerArgs& args, const UnigramTick& tick);

}  // namespace llmcore::tokenizer
