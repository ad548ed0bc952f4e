// Small random tokenizers whose vocabularies, normalisers and texts meet at white space.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "tokenizer/formats/spec.h"

namespace llmcore::fuzz {

// Bytes of this size at the front of an input say which tokenizer it is for.
inline constexpr std::size_t kSpecHead = 8;

// `head` of at least kSpecHead bytes. Throws DataError where what was drawn contradicts itself.
tokenizer::TokenizerSpec random_spec(std::string_view head);

}  // namespace llmcore::fuzz
