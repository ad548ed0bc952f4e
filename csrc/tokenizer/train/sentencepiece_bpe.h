// BPE as SentencePiece trains it: over characters of words that begin with U+2581, every piece
// once, of equally frequent ones the shortest. Source: google/sentencepiece 0.2.3,
// bpe_model_trainer.cc.
#pragma once

#include <string>
#include <vector>

#include "tokenizer/formats/spec.h"
#include "tokenizer/train/bpe_trainer.h"
#include "tokenizer/train/piece_rules.h"

namespace llmcore::tokenizer {

// A specification without normaliser. Ids: <unk>, <s>, </s>, the special tokens (control), <0x00>
// to <0xFF> with byte_fallback, merges, the characters by falling frequency. Of `args` vocab_size,
// special_tokens, byte_fallback and character_coverage count. The words' memory is freed before the
// merging.
TokenizerSpec train_sentencepiece_bpe(WordTable words, const BpeTrainerArgs& args,
                                      const PieceRules& rules, const TrainTick& tick);

}  // namespace llmcore::tokenizer
