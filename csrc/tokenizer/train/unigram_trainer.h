// Learns a Unigram vocabulary from word counts, as sentencepiece 0.2.3 does: a seed vocabulary of
// frequent substrings, then EM and pruning in turns. Options have sentencepiece's names.
// Source: Kudo 2018, arXiv:1804.10959; Liang et al. 2007 for the digamma step.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "tokenizer/formats/spec.h"
#include "tokenizer/train/word_counter.h"

namespace llmcore::tokenizer {

struct UnigramTrainerArgs {
  std::size_t vocab_size = 8000;  // ids, special ones included
  bool hard_vocab_limit = true;   // refuse a text that has too few pieces
  float character_coverage = 0.9995f;
  std::string required_chars;
  std::string old_chars;  // of a vocabulary that is extended: part of the alphabet at any count
  std::size_t seed_sentencepiece_size = 1000000;
  float shrinking_factor = 0.75f;
  unsigned num_sub_iterations = 2;

  std::size_t max_sentencepiece_length = 16;  // in characters
  bool split_by_unicode_script = true;
  bool split_by_number = true;
  bool split_digits = false;
  bool split_by_whitespace = true;
  bool treat_whitespace_as_suffix = false;
  bool allow_whitespace_only_pieces = false;

  std::vector<std::string> control_symbols, user_defined_symbols;
  bool byte_fallback = false;
  std::int32_t unk_id = 0, bos_id = 1, eos_id = 2, pad_id = -1;
  std::string unk_piece = "<unk>", bos_piece = "<s>", eos_piece = "</s>", pad_piece = "<pad>";
  std::string unk_surface = " \xE2\x81\x87 ";

  // Of SentencePiece's normaliser, which the words have been through.
  std::string normalizer_name, precompiled_charsmap;
  bool add_dummy_prefix = true, remove_extra_whitespaces = true, escape_whitespaces = true;

  unsigned num_threads = 1;  // the result does not depend on it
};

// Called about ten times a second with the number of pieces left; may throw to stop.
using UnigramTick = std::function<void(std::size_t)>;

// The words mark spaces with U+2581. Throws ConfigError where the vocabulary size does not fit.
TokenizerSpec train_unigram(const WordTable& words, const UnigramTrainerArgs& args,
                            const UnigramTick& tick);

// `spec` with new pieces behind the old ids until it has `vocab_size` of them, added tokens
// included. Old pieces keep their scores, to the bit, and none is removed. EM and pruning run over
// old and new pieces of the new text, where a new one gets
//   score = digamma(E(piece)) - digamma(E(all)) + log(sum of exp(old scores)),
// the log-probability that training would give, on a scale where the old probabilities sum to one.
// (To divide the new ones by the old pieces' share of the text, which that model alone asks for,
// makes weights that sum to far more than one where the share is small: short pieces then win.)
// Of `args` vocab_size, character_coverage, seed_sentencepiece_size, shrinking_factor,
// num_sub_iterations, max_sentencepiece_length, split_by_unicode_script, split_by_number,
// split_digits and num_threads count; where spaces may stand is as in the old vocabulary.
TokenizerSpec extend_unigram(const TokenizerSpec& spec, const WordTable& words,
                             const UnigramTrainerArgs& args, const UnigramTick& tick);

}  // namespace llmcore::tokenizer
