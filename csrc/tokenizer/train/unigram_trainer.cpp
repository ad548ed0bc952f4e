#include "tokenizer/train/unigram_trainer.h"

#include "tokenizer/errors.h"
#include "tokenizer/train/unigram_final.h"
#include "tokenizer/train/unigram_seeds.h"
#include "tokenizer/train/unigram_settle.h"
#include "tokenizer/train/unigram_text.h"

namespace llmcore::tokenizer {
namespace {

void check_room(const UnigramText& text, std::size_t num_meta, std::size_t vocab_size) {
  const std::size_t num_chars = text.chars.size() - UnigramText::kFirstSymbol;
  if (num_chars == 0) throw DataError("train: words must hold text, got none");
  if (num_chars + num_meta <= vocab_size) return;
  throw ConfigError("train: vocab_size must be at least " + std::to_string(num_chars + num_meta) +
                    " (" + std::to_string(num_chars) + " characters + " + std::to_string(num_meta) +
                    " meta pieces), got " + std::to_string(vocab_size) +
                    "; or lower character_coverage");
}

}  // namespace

TokenizerSpec train_unigram(const WordTable& words, const UnigramTrainerArgs& args,
                            const UnigramTick& tick) {
  check_unigram_args(args, "train", 0.98f);
  const std::vector<MetaPiece> meta = meta_pieces(args);
  std::vector<std::string> meta_texts;
  for (const MetaPiece& m : meta) {
    if (m.is_set) meta_texts.push_back(m.piece.text);
  }
  const UnigramText text = make_unigram_text(words, args, meta_texts);
  check_room(text, meta_texts.size(), args.vocab_size);

  UnigramPieces pieces = seed_pieces(text, args);
  settle_pieces(text, pieces, args.vocab_size, args, tick);
  return finish_unigram(text, pieces, meta, args);
}

}  // namespace llmcore::tokenizer
