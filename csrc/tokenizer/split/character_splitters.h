// Pre-tokenizers that look at one character at a time.
#pragma once

#include <cstdint>
#include <memory>

#include "tokenizer/split/delimiter_behavior.h"
#include "tokenizer/split/pre_tokenizer.h"

namespace llmcore::tokenizer {

// \w+|[^\w\s]+
std::unique_ptr<PreTokenizer> make_whitespace();
std::unique_ptr<PreTokenizer> make_whitespace_split();
std::unique_ptr<PreTokenizer> make_punctuation(DelimiterBehavior behavior);
std::unique_ptr<PreTokenizer> make_digits(bool individual_digits);
std::unique_ptr<PreTokenizer> make_delimiter_split(std::uint32_t delimiter);
std::unique_ptr<PreTokenizer> make_bert();
std::unique_ptr<PreTokenizer> make_unicode_scripts();
std::unique_ptr<PreTokenizer> make_fixed_length(std::size_t num_chars);

}  // namespace llmcore::tokenizer
