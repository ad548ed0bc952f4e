#include "tokenizer/train/bpe_trainer.h"

#include <cstdio>
#include <memory>
#include <utility>

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

struct Beginning {
  GrowingVocabulary vocabulary;
  SymbolRows rows;
};

// The alphabet, and the words spelled in it.
std::unique_ptr<Beginning> begin(const WordTable& words, const BpeTrainerArgs& args) {
  GrowingVocabulary vocabulary;
  for (const std::string& token : args.special_tokens) vocabulary.add(token);
  SpellWord spelling;
  if (args.byte_level) {
    spelling = ByteSpelling(vocabulary);
  } else {
    for (unsigned b = 0; args.byte_fallback && b < 256; ++b) {
      char text[8];
      std::snprintf(text, sizeof text, "<0x%02X>", b);
      vocabulary.add(text);
    }
    spelling = CharSpelling(vocabulary, words, args);
  }
  check_size(args.vocab_size, vocabulary.size());
  return std::make_unique<Beginning>(std::move(vocabulary), SymbolRows(words, spelling));
}

TrainedBpe finish(std::unique_ptr<Beginning> start, const BpeTrainerArgs& args,
                  const TrainTick& tick) {
  const MergingRules rules{.vocab_size = args.vocab_size,
                           .min_frequency = args.min_frequency,
                           .tie_break = args.tie_break,
                           .max_token_length = args.max_token_length,
                           .byte_level = args.byte_level,
                           .continuing_subword_prefix = args.continuing_subword_prefix,
                           .lengths = {},
                           .forbidden = {}};
  TrainedBpe trained;
  trained.merges = merge_rows(std::move(start->rows), start->vocabulary, rules, tick);
  trained.tokens = start->vocabulary.take();
  return trained;
}

}  // namespace

TrainedBpe train_bpe(const WordTable& words, const BpeTrainerArgs& args, const TrainTick& tick) {
  return finish(begin(words, args), args, tick);
}

TrainedBpe train_bpe(WordTable&& words, const BpeTrainerArgs& args, const TrainTick& tick) {
  auto start = begin(words, args);
  words = WordTable();
  return finish(std::move(start), args, tick);
}

}  // namespace llmcore::tokenizer
