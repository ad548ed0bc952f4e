#include "tokenizer/train/bpe_trainer.h"

#include <cstdio>

#include "tokenizer/errors.h"
#include "tokenizer/train/bpe_alphabet.h"
#include "tokenizer/train/bpe_merging.h"

namespace llmcore::tokenizer {
namespace {

void check_size(std::size_t vocab_size, std::size_t least) {
  if (vocab_size >= least) return;
  throw ConfigError("train: vocab_size must be at least " + std::to_string(least) +
                    " (special tokens and alphabet), got " + std::to_string(vocab_size));
}

}  // namespace

TrainedBpe train_bpe(const WordTable& words, const BpeTrainerArgs& args, const TrainTick& tick) {
  GrowingVocabulary vocabulary;
  for (const std::string& token : args.special_tokens) vocabulary.add(token);
  MergingRules rules{.vocab_size = args.vocab_size,
                     .min_frequency = args.min_frequency,
                     .tie_break = args.tie_break,
                     .max_token_length = args.max_token_length,
                     .byte_level = args.byte_level,
                     .continuing_subword_prefix = args.continuing_subword_prefix,
                     .lengths = {},
                     .forbidden = {}};
  TrainedBpe trained;
  if (args.byte_level) {
    const ByteSpelling spelling(vocabulary);
    check_size(args.vocab_size, vocabulary.size());
    trained.merges = merge_rows(SymbolRows(words, spelling), vocabulary, rules, tick);
  } else {
    for (unsigned b = 0; args.byte_fallback && b < 256; ++b) {
      char text[8];
      std::snprintf(text, sizeof text, "<0x%02X>", b);
      vocabulary.add(text);
    }
    const CharSpelling spelling(vocabulary, words, args);
    check_size(args.vocab_size, vocabulary.size());
    trained.merges = merge_rows(SymbolRows(words, spelling), vocabulary, rules, tick);
  }
  trained.tokens = vocabulary.take();
  return trained;
}

}  // namespace llmcore::tokenizer
