// Learns a WordPiece vocabulary from word counts, by either of two scores.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "tokenizer/formats/spec.h"
#include "tokenizer/train/word_counter.h"

namespace llmcore::tokenizer {

enum class WordPieceScore : std::uint8_t {
  // The pair seen most often; ties, then the smaller pair of ids. As Hugging Face `tokenizers`.
  kCount,
  // count(ab) / (count(a) count(b)): the merge that raises the likelihood of a unigram model of the
  // text the most. Source: Schuster & Nakajima 2012, "Japanese and Korean voice search".
  kLikelihood
};

struct WordPieceTrainerArgs {
  std::size_t vocab_size = 0;
  WordPieceScore score = WordPieceScore::kCount;
  std::int64_t min_frequency = 0;
  std::vector<std::string> special_tokens;
  std::string continuing_subword_prefix = "##";
  std::size_t limit_alphabet = std::numeric_limits<std::size_t>::max();
  std::vector<std::uint32_t> initial_alphabet;  // characters kept whatever their count
  std::size_t max_token_length = std::numeric_limits<std::size_t>::max();  // in characters
  // Ids of the one-character tokens inside words: these first, then by code point. `tokenizers`
  // gives them in the order of a hash map, another one in every run.
  std::vector<std::uint32_t> continuing_order;
};

// Called about ten times a second with the vocabulary's size so far; may throw to stop.
using WordPieceTick = std::function<void(std::size_t)>;

// Tokens by id: special ones, the alphabet, the alphabet inside words, then one per merge.
std::vector<std::string> train_wordpiece(const WordTable& words, const WordPieceTrainerArgs& args,
                                         const WordPieceTick& tick);

// `spec` with new tokens behind the old ids until it has `vocab_size` of them, added tokens
// included. WordPiece keeps no merges, so pairs start from what the encoder makes of each word
// (longest match first) once the text's new characters have tokens. A word that it gives up on
// takes no part. Of `args` only vocab_size, score, min_frequency, max_token_length and
// limit_alphabet (most new characters) count.
TokenizerSpec extend_wordpiece(const TokenizerSpec& spec, const WordTable& words,
                               const WordPieceTrainerArgs& args, const WordPieceTick& tick);

}  // namespace llmcore::tokenizer
