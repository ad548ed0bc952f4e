// Learns BPE merges from word counts: over bytes or characters, from nothing or on top of an
// existing vocabulary. By default the merges equal those of Hugging Face `tokenizers` 0.23
// (largest count first, then the smaller pair of ids), with 64-bit counts.
// Source: Sennrich et al. 2016, arXiv:1508.07909.
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "tokenizer/formats/spec.h"
#include "tokenizer/train/word_counter.h"

namespace llmcore::tokenizer {

// Which of several pairs of equal count is merged first.
enum class TieBreak : std::uint8_t {
  kIds,      // the smaller left id, then the smaller right id: Hugging Face tokenizers
  kBytes,    // the smaller left token, then the smaller right token, compared byte by byte
  kShortest  // the union with fewer characters, then the smaller union: SentencePiece
};

struct BpeTrainerArgs {
  std::size_t vocab_size = 0;
  std::int64_t min_frequency = 0;
  std::vector<std::string> special_tokens;
  TieBreak tie_break = TieBreak::kIds;
  // A union of this many characters (bytes with byte_level) or more is not merged, unless it joins
  // two of the alphabet: as in Hugging Face tokenizers.
  std::size_t max_token_length = std::numeric_limits<std::size_t>::max();
  bool byte_level = true;

  // The rest is for character-level vocabularies.
  bool byte_fallback = false;  // <0x00> to <0xFF> follow the special tokens
  std::string continuing_subword_prefix, end_of_word_suffix;
  std::vector<std::string> initial_alphabet;  // kept whatever the text holds
  std::size_t limit_alphabet = std::numeric_limits<std::size_t>::max();
  // Characters beyond this share of the text, the rarest, stay out of the alphabet.
  double character_coverage = 1.0;
  // The alphabet by falling frequency instead of by code point.
  bool sentencepiece = false;
};

struct TrainedBpe {
  std::vector<std::string> tokens;  // by id; in the byte alphabet with byte_level
  std::vector<std::pair<std::uint32_t, std::uint32_t>> merges;
};

// Called about ten times a second with the vocabulary's size so far; may throw to stop.
using TrainTick = std::function<void(std::size_t)>;

TrainedBpe train_bpe(const WordTable& words, const BpeTrainerArgs& args, const TrainTick& tick);
// The same of words that nobody needs afterwards: their memory is freed before the merging.
TrainedBpe train_bpe(WordTable&& words, const BpeTrainerArgs& args, const TrainTick& tick);

// `spec` with new tokens and merges behind the old ones until it has `vocab_size` ids, added tokens
// included: its own rules cut the words first. Of `args` only vocab_size, min_frequency, tie_break,
// max_token_length and character_coverage (1: every new character gets an id, 0: none) count.
TokenizerSpec extend_bpe(const TokenizerSpec& spec, const WordTable& words,
                         const BpeTrainerArgs& args, const TrainTick& tick);

}  // namespace llmcore::tokenizer
