// Character span of every token of a text.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "tokenizer/models/bpe_model.h"

namespace llmcore::tokenizer {

// [start, end) in characters, two numbers a token: every character that owns one of its bytes.
// The tokens' bytes laid end to end are `text`.
std::vector<std::int64_t> token_char_spans(const BpeModel& model,
                                           std::span<const std::uint8_t> text,
                                           std::span<const std::uint32_t> ids);

}  // namespace llmcore::tokenizer
