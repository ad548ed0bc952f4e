// What the trainers of all kinds ask of ids and characters.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>

#include "tokenizer/formats/spec.h"
#include "tokenizer/text/utf8.h"

namespace llmcore::tokenizer {

// Ids of the model and of the added tokens are below this.
inline std::size_t size_of(const TokenizerSpec& spec) {
  std::size_t size = spec.tokens.size();
  for (const AddedTokenSpec& token : spec.added) size = std::max(size, token.id + std::size_t{1});
  return size;
}

// A code point in UTF-8.
inline std::string text_of(std::uint32_t code) {
  std::string text;
  append_utf8(text, code);
  return text;
}

}  // namespace llmcore::tokenizer
