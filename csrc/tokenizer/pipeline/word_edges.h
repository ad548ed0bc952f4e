// White space and word characters at the edges of a text, as `\s` and `\w` of regular expressions.
#pragma once

#include <cstddef>

#include "tokenizer/text/aligned_text.h"

namespace llmcore::tokenizer {

bool starts_with_word(Text text);
bool ends_with_word(Text text);
// Bytes of white space at the front and at the back.
std::size_t leading_space(Text text);
std::size_t trailing_space(Text text);

}  // namespace llmcore::tokenizer
