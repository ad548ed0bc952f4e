// One step of EM for a Unigram model over counted words, and the counts of its best paths.
#pragma once

#include <cstdint>
#include <vector>

#include "tokenizer/parallel.h"
#include "tokenizer/train/unigram_pieces.h"
#include "tokenizer/train/unigram_text.h"

namespace llmcore::tokenizer {

// What a character without a piece costs beyond the worst piece, as in sentencepiece.
inline constexpr double kUnknownPenalty = 10;

// Words of about this many symbols are one item of work.
inline constexpr std::size_t kSymbolsPerItem = 1 << 16;

class UnigramEm {
 public:
  UnigramEm(const UnigramText& text, UnigramPieces& pieces, unsigned num_threads, Tick tick);

  // Replaces the scores by those that the expected counts give, less what falls below a half. Old
  // pieces stay and keep their scores, to whose scale the new ones are moved.
  // The digamma step acts as a sparse prior: Liang et al. 2007.
  void step();

  // How often each piece stands in the words' best segmentations.
  std::vector<std::int64_t> best_path_counts() const;
  double unknown_score() const;

 private:
  int fraction_bits() const;
  template <typename AddWord>
  std::vector<std::int64_t> sum_over_words(AddWord&& add_word) const;

  const UnigramText& text_;
  UnigramPieces& pieces_;
  unsigned num_threads_;
  Tick tick_;
  std::vector<std::uint32_t> items_;  // first word of every item of work, and the number of words
};

double digamma(double x);

}  // namespace llmcore::tokenizer
