// The words of a corpus as one text of small symbols.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "tokenizer/train/unigram_trainer.h"
#include "tokenizer/train/word_counter.h"

namespace llmcore::tokenizer {

struct UnigramText {
  static constexpr std::uint32_t kBoundary = 0;     // ends every word
  static constexpr std::uint32_t kUnknown = 1;      // a character that no piece holds
  static constexpr std::uint32_t kFirstSymbol = 2;  // symbols above stand for characters, in order

  std::vector<std::uint32_t> symbols;
  std::vector<std::uint32_t> begins;      // of the words, and the text's size
  std::vector<std::int64_t> counts;       // of the words
  std::vector<std::uint32_t> chars;       // code point by symbol
  std::vector<std::int64_t> char_counts;  // by symbol
  std::int64_t total_count = 0;           // of the words

  std::size_t num_words() const { return counts.size(); }
  std::string spell(std::size_t begin, std::size_t length) const;
};

// `meta_pieces` are no text to learn from. Throws DataError for words with a space, or too much.
UnigramText make_unigram_text(const WordTable& words, const UnigramTrainerArgs& args,
                              const std::vector<std::string>& meta_pieces);

}  // namespace llmcore::tokenizer
