// Pre-tokenizers of tokenizer.json that are one known pattern and nothing else.
#pragma once

#include <optional>
#include <span>

#include "tokenizer/formats/json.h"
#include "tokenizer/split/known_pattern.h"

namespace llmcore::tokenizer {

// The pattern whose pieces are all that this pre-tokenizer makes of a text, so that a byte-level
// model can take them from for_each_piece(). Nothing if it rewrites the text or splits otherwise.
std::optional<KnownPattern> find_known_pattern(const Json& pre_tokenizer);

// Whether the first three of `items` are the splits of DeepSeek-V3.
bool is_deepseek_splits(std::span<const Json> items);

}  // namespace llmcore::tokenizer
