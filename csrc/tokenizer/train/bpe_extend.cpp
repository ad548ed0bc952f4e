#include <algorithm>

#include "tokenizer/errors.h"
#include "tokenizer/models/bpe.h"
#include "tokenizer/models/bpe_model.h"
#include "tokenizer/pipeline/piece_types.h"
#include "tokenizer/train/bpe_alphabet.h"
#include "tokenizer/train/bpe_merging.h"
#include "tokenizer/train/bpe_trainer.h"
#include "tokenizer/train/ids_and_texts.h"

namespace llmcore::tokenizer {
namespace {

std::uint32_t num_chars(std::string_view text) {
  return static_cast<std::uint32_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; }));
}

// Every id with its text: the model's, or else the added token's.
void add_old_tokens(const TokenizerSpec& spec, GrowingVocabulary& vocabulary) {
  std::vector<std::string> texts(size_of(spec));
  for (const AddedTokenSpec& token : spec.added) texts[token.id] = token.content;
  for (std::size_t id = 0; id < spec.tokens.size(); ++id) {
    if (!spec.tokens[id].empty()) texts[id] = spec.tokens[id];
  }
  for (const std::string& text : texts) {
    if (text.empty() || vocabulary.find(text) != nullptr) {
      vocabulary.skip();
    } else {
      vocabulary.add(text);
    }
  }
}

// Tokens that are no part of a word: no merge takes or makes them.
std::vector<bool> forbidden_ids(const TokenizerSpec& spec, const std::vector<PieceType>& types) {
  std::vector<bool> forbidden(size_of(spec));
  for (const AddedTokenSpec& token : spec.added) forbidden[token.id] = true;
  for (std::size_t id = 0; id < spec.tokens.size(); ++id) {
    const std::string& text = spec.tokens[id];
    if (text.empty() || text == spec.bpe.unk_token) forbidden[id] = true;
    if (spec.spelling == Spelling::kText && byte_of_piece(text) >= 0) forbidden[id] = true;
    if (id < types.size() && types[id] != PieceType::kNormal) forbidden[id] = true;
  }
  return forbidden;
}

void append(TokenizerSpec& spec, GrowingVocabulary& vocabulary) {
  const std::size_t old_size = spec.tokens.size(), first = size_of(spec);
  if (vocabulary.size() == first) return;
  spec.tokens.resize(vocabulary.size());
  for (std::size_t id = first; id < vocabulary.size(); ++id) {
    spec.tokens[id] = vocabulary[static_cast<std::uint32_t>(id)];
  }
  if (spec.scores.empty()) return;
  // SentencePiece merges by falling score.
  double score = *std::min_element(spec.scores.begin(), spec.scores.end());
  spec.scores.resize(old_size + (first - old_size), 0);
  while (spec.scores.size() < spec.tokens.size()) spec.scores.push_back(score -= 1);
}

void append_merges(TokenizerSpec& spec,
                   const std::vector<std::pair<std::uint32_t, std::uint32_t>>& merges) {
  std::vector<std::pair<std::uint32_t, std::uint32_t>> old = spec.merges;
  std::sort(old.begin(), old.end());
  for (const auto& merge : merges) {
    // A pair keeps its first rank.
    if (!std::binary_search(old.begin(), old.end(), merge)) spec.merges.push_back(merge);
  }
}

}  // namespace

// Declared here: the header of the formats and that of the models both have a Merge.
std::vector<std::pair<std::uint32_t, std::uint32_t>> merges_of_scores(
    const std::vector<std::string>& tokens, const std::vector<double>& scores,
    const std::vector<bool>& usable);

namespace {

// SentencePiece merges whatever makes a piece.
void remake_merges(TokenizerSpec& spec) {
  if (spec.merges.empty()) return;
  const std::vector<PieceType> types = piece_types(spec);
  std::vector<bool> usable = forbidden_ids(spec, types);
  usable.flip();
  for (std::size_t id = 0; id < types.size(); ++id) {
    if (types[id] == PieceType::kUserDefined || types[id] == PieceType::kUnused) usable[id] = true;
  }
  spec.merges = merges_of_scores(spec.tokens, spec.scores, usable);
}

}  // namespace

TokenizerSpec extend_bpe(const TokenizerSpec& spec, const WordTable& words,
                         const BpeTrainerArgs& args, const TrainTick& tick) {
  GrowingVocabulary vocabulary;
  add_old_tokens(spec, vocabulary);
  TokenizerSpec extended = spec;
  if (spec.spelling == Spelling::kText) {
    BpeTrainerArgs chars;
    chars.character_coverage = args.character_coverage;
    chars.continuing_subword_prefix = spec.bpe.continuing_subword_prefix;
    chars.end_of_word_suffix = spec.bpe.end_of_word_suffix;
    // ASCII that falls back to its byte is one token already.
    const CharSpelling spelling(vocabulary, words, chars, spec.bpe.byte_fallback ? 0x80 : 0);
    if (vocabulary.size() > args.vocab_size) {
      throw ConfigError("extend: vocab_size must be at least " + std::to_string(vocabulary.size()) +
                        " (the vocabulary and the new characters), got " +
                        std::to_string(args.vocab_size));
    }
  }
  append(extended, vocabulary);
  // Encoding must be the same every time.
  TokenizerSpec sure = extended;
  sure.bpe.dropout = 0;
  const std::vector<PieceType> types = piece_types(sure);
  const auto model = types.empty() ? make_bpe(sure) : make_sentencepiece_bpe(sure, types);
  const auto scratch = model->make_scratch();
  std::vector<bool> forbidden = forbidden_ids(extended, types);
  IdBuffer ids;
  const SpellWord spell = [&](std::string_view word, std::vector<std::uint32_t>& symbols) {
    ids = IdBuffer();
    model->encode(as_text(word), *scratch, ids, nullptr);
    for (std::size_t i = 0; i < ids.size(); ++i) {
      const std::uint32_t id = ids.data()[i];
      symbols.push_back(id < forbidden.size() && forbidden[id] ? kBreak : id);
    }
  };
  std::vector<std::uint32_t> lengths;
  lengths.reserve(vocabulary.size());
  for (std::uint32_t id = 0; id < vocabulary.size(); ++id) {
    lengths.push_back(num_chars(vocabulary[id]));
  }
  const MergingRules rules{.vocab_size = args.vocab_size,
                           .min_frequency = args.min_frequency,
                           .tie_break = args.tie_break,
                           .max_token_length = args.max_token_length,
                           .byte_level = spec.spelling == Spelling::kByteChars,
                           .continuing_subword_prefix = spec.bpe.continuing_subword_prefix,
                           .lengths = std::move(lengths),
                           .forbidden = forbidden};
  const auto merges = merge_rows(SymbolRows(words, spell), vocabulary, rules, tick);
  append(extended, vocabulary);
  if (!spec.scores.empty()) {
    remake_merges(extended);
  } else if (!spec.bpe.by_rank) {
    append_merges(extended, merges);
  }
  return extended;
}

}  // namespace llmcore::tokenizer
