// SentencePiece's view of a vocabulary, which GGUF shares: pieces with a score and a type.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "tokenizer/formats/piece_type.h"
#include "tokenizer/formats/spec.h"

namespace llmcore::tokenizer {

struct ModelPiece {
  std::string text;
  float score = 0;
  PieceType type = PieceType::kNormal;
};

struct PieceModel {
  std::vector<ModelPiece> pieces;
  bool is_unigram = true;  // else BPE
  bool byte_fallback = false;
  std::int32_t unk_id = -1, bos_id = -1, eos_id = -1, pad_id = -1;
  std::string unk_surface = " \xE2\x81\x87 ";  // what an unknown piece decodes to

  std::string charsmap;  // precompiled
  bool add_dummy_prefix = true;
  bool remove_extra_whitespaces = true;
  bool escape_whitespaces = true;
  bool treat_whitespace_as_suffix = false;

  // Fields of a .model as they were: trainer_spec and what this library has no use for.
  std::string normalizer_name, trainer_spec, other_fields;
};

// `name` is the file, for messages.
TokenizerSpec spec_of_pieces(const PieceModel& model, const std::string& name);

// `format` is what is being written, for messages. Throws DataError for another kind of model.
PieceModel pieces_of_spec(const TokenizerSpec& spec, std::string_view format);

}  // namespace llmcore::tokenizer
