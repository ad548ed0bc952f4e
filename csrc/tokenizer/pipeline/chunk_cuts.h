// Where a raw text may be cut into chunks whose ids do not depend on each other.
#pragma once

#include <optional>
#include <string_view>

#include "tokenizer/formats/spec.h"
#include "tokenizer/models/model.h"
#include "tokenizer/normalize/normalizer.h"
#include "tokenizer/pipeline/chunk_scanner.h"
#include "tokenizer/split/pre_tokenizer.h"

namespace llmcore::tokenizer {

// The parts of a pipeline, which owns them; normaliser and pre-tokenizer may be null.
struct ChunkParts {
  const Normalizer* normalizer = nullptr;
  const PreTokenizer* pre_tokenizer = nullptr;
  const Model* model = nullptr;

  SpaceCut space_cut() const {
    return normalizer == nullptr ? SpaceCut::kKept : normalizer->space_cut();
  }
};

inline constexpr std::string_view kMark = "\xE2\x96\x81";  // U+2581

// Nothing where no place is known.
std::optional<ChunkScanner> find_cuts(const TokenizerSpec& spec, const ChunkParts& parts);

}  // namespace llmcore::tokenizer
