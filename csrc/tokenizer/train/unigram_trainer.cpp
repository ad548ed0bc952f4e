#include "tokenizer/train/unigram_trainer.h"

#include <algorithm>

#include "tokenizer/errors.h"
#include "tokenizer/train/unigram_em.h"
#include "tokenizer/train/unigram_final.h"
#include "tokenizer/train/unigram_prune.h"
#include "tokenizer/train/unigram_seeds.h"
#include "tokenizer/train/unigram_text.h"

namespace llmcore::tokenizer {
namespace {

// Pruning stops at this multiple of the vocabulary; the last EM steps and the scores do the rest.
constexpr double kOvershoot = 1.1;

template <typename T>
void check_range(const char* name, T value, T least, T most) {
  if (value >= least && value <= most) return;
  throw ConfigError(std::string("train: ") + name + " must be from " + std::to_string(least) +
                    " to " + std::to_string(most) + ", got " + std::to_string(value));
}

void check(const UnigramTrainerArgs& args) {
  check_range("character_coverage", args.character_coverage, 0.98f, 1.0f);
  check_range("shrinking_factor", args.shrinking_factor, 0.5f, 0.95f);
  check_range("num_sub_iterations", args.num_sub_iterations, 1u, 10u);
  check_range<std::size_t>("max_sentencepiece_length", args.max_sentencepiece_length, 1, 512);
  // Ids fit the encoder's trie.
  check_range<std::size_t>("vocab_size", args.vocab_size, 1, 0xFFFFFE);
  check_range<std::size_t>("seed_sentencepiece_size", args.seed_sentencepiece_size, 1, 1u << 28);
}

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
  check(args);
  const std::vector<MetaPiece> meta = meta_pieces(args);
  std::vector<std::string> meta_texts;
  for (const MetaPiece& m : meta) {
    if (m.is_set) meta_texts.push_back(m.piece.text);
  }
  const UnigramText text = make_unigram_text(words, args, meta_texts);
  check_room(text, meta_texts.size(), args.vocab_size);

  UnigramPieces pieces = seed_pieces(text, args);
  const Tick tell = [&] {
    if (tick) tick(pieces.pieces.size());
  };
  UnigramEm em(text, pieces, args.num_threads, tell);
  const auto wanted = static_cast<std::size_t>(static_cast<double>(args.vocab_size) * kOvershoot);
  for (;;) {
    for (unsigned i = 0; i < args.num_sub_iterations; ++i) em.step();
    tell();
    if (pieces.pieces.size() <= wanted) break;
    const auto shrunk =
        static_cast<std::size_t>(args.shrinking_factor * static_cast<float>(pieces.pieces.size()));
    const std::size_t before = pieces.pieces.size();
    prune_pieces(pieces, em.best_path_counts(), em.unknown_score(), std::max(wanted, shrunk),
                 args.num_threads, tell);
    if (pieces.pieces.size() == before) break;  // only characters are left
  }
  prune_unreachable(pieces, em.unknown_score());
  return finish_unigram(text, pieces, meta, args);
}

}  // namespace llmcore::tokenizer
