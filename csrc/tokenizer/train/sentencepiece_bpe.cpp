#include "tokenizer/train/sentencepiece_bpe.h"

#include <algorithm>
#include <cstdio>
#include <functional>
#include <limits>
#include <utility>

#include "tokenizer/errors.h"
#include "tokenizer/formats/pieces.h"
#include "tokenizer/text/utf8.h"
#include "tokenizer/train/bpe_alphabet.h"
#include "tokenizer/train/bpe_merging.h"

namespace llmcore::tokenizer {
namespace {

std::vector<ModelPiece> reserved_pieces(const BpeTrainerArgs& args) {
  std::vector<ModelPiece> pieces = {{"<unk>", 0, PieceType::kUnknown},
                                    {"<s>", 0, PieceType::kControl},
                                    {"</s>", 0, PieceType::kControl}};
  for (const std::string& text : args.special_tokens) {
    pieces.push_back({text, 0, PieceType::kControl});
  }
  for (unsigned b = 0; args.byte_fallback && b < 256; ++b) {
    char text[8];
    std::snprintf(text, sizeof text, "<0x%02X>", b);
    pieces.push_back({text, 0, PieceType::kByte});
  }
  return pieces;
}

}  // namespace

TokenizerSpec train_sentencepiece_bpe(WordTable words, const BpeTrainerArgs& args,
                                      const PieceRules& rules, const TrainTick& tick) {
  PieceModel model;
  model.is_unigram = false;
  model.byte_fallback = args.byte_fallback;
  model.unk_id = 0;
  model.bos_id = 1;
  model.eos_id = 2;
  model.normalizer_name = "identity";
  model.pieces = reserved_pieces(args);
  GrowingVocabulary vocabulary;
  for (const ModelPiece& piece : model.pieces) vocabulary.add(piece.text);
  const std::size_t num_reserved = vocabulary.size();
  if (num_reserved != model.pieces.size()) {
    throw ConfigError("train: special_tokens must not be <unk>, <s> or </s>, got one of them");
  }
  const CharSpelling spelling(vocabulary, words, args);
  const std::size_t num_known = vocabulary.size();
  if (args.vocab_size < num_known) {
    throw ConfigError("train: vocab_size must be at least " + std::to_string(num_known) +
                      " (special tokens and characters), got " + std::to_string(args.vocab_size));
  }
  MergingRules merging;
  merging.vocab_size = args.vocab_size;
  merging.tie_break = TieBreak::kShortest;
  merging.max_token_length = std::numeric_limits<std::size_t>::max();
  merging.pieces = &rules;
  SymbolRows rows(words, std::cref(spelling));
  words = WordTable();
  merge_rows(std::move(rows), vocabulary, merging, tick);
  // Scores fall by one from piece to piece, the characters' last.
  float score = 0;
  const auto add = [&](std::size_t id) {
    model.pieces.push_back({vocabulary[static_cast<std::uint32_t>(id)], score, PieceType::kNormal});
    score -= 1;
  };
  for (std::size_t id = num_known; id < vocabulary.size(); ++id) add(id);
  for (std::size_t id = num_reserved; id < num_known; ++id) add(id);
  return spec_of_pieces(model, "train");
}

}  // namespace llmcore::tokenizer
