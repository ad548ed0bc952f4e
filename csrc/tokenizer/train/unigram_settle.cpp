#include "tokenizer/train/unigram_settle.h"

#include <algorithm>
#include <string>

#include "tokenizer/errors.h"
#include "tokenizer/train/unigram_em.h"
#include "tokenizer/train/unigram_prune.h"

namespace llmcore::tokenizer {
namespace {

// Pruning stops at this multiple of the vocabulary; the last EM steps and the scores do the rest.
constexpr double kOvershoot = 1.1;

template <typename T>
void check_range(const char* op, const char* name, T value, T least, T most) {
  if (value >= least && value <= most) return;
  throw ConfigError(std::string(op) + ": " + name + " must be from " + std::to_string(least) +
                    " to " + std::to_string(most) + ", got " + std::to_string(value));
}

}  // namespace

void check_unigram_args(const UnigramTrainerArgs& args, const char* op, float least_coverage) {
  check_range(op, "character_coverage", args.character_coverage, least_coverage, 1.0f);
  check_range(op, "shrinking_factor", args.shrinking_factor, 0.5f, 0.95f);
  check_range(op, "num_sub_iterations", args.num_sub_iterations, 1u, 10u);
  check_range<std::size_t>(op, "max_sentencepiece_length", args.max_sentencepiece_length, 1, 512);
  // Ids fit the encoder's trie.
  check_range<std::size_t>(op, "vocab_size", args.vocab_size, 1, 0xFFFFFE);
  check_range<std::size_t>(op, "seed_sentencepiece_size", args.seed_sentencepiece_size, 1,
                           1u << 28);
}

void settle_pieces(const UnigramText& text, UnigramPieces& pieces, std::size_t size,
                   const UnigramTrainerArgs& args, const UnigramTick& tick) {
  const auto num_old = static_cast<std::size_t>(
      std::count_if(pieces.old_ids.begin(), pieces.old_ids.end(),
                    [](std::uint32_t id) { return id != UnigramPieces::kNone; }));
  const Tick tell = [&] {
    if (tick) tick(pieces.pieces.size());
  };
  UnigramEm em(text, pieces, args.num_threads, tell);
  const auto wanted = static_cast<std::size_t>(static_cast<double>(size) * kOvershoot);
  for (;;) {
    for (unsigned i = 0; i < args.num_sub_iterations; ++i) em.step();
    tell();
    const std::size_t num_new = pieces.pieces.size() - num_old;
    if (num_new <= wanted) break;
    const auto shrunk =
        static_cast<std::size_t>(args.shrinking_factor * static_cast<float>(num_new));
    prune_pieces(pieces, em.best_path_counts(), em.unknown_score(),
                 num_old + std::max(wanted, shrunk), args.num_threads, tell);
    if (pieces.pieces.size() == num_old + num_new) break;  // only characters are left
  }
  prune_unreachable(pieces, em.unknown_score());
}

}  // namespace llmcore::tokenizer
