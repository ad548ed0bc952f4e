// Pre-tokenizers that cut by a pattern, and those that rewrite spaces.
#pragma once

#include <memory>
#include <string>

#include "tokenizer/split/delimiter_behavior.h"
#include "tokenizer/split/known_pattern.h"
#include "tokenizer/split/pre_tokenizer.h"

namespace llmcore::tokenizer {

std::unique_ptr<PreTokenizer> make_known_split(KnownPattern pattern);
// `pattern` is Oniguruma's; a known one is scanned by hand.
std::unique_ptr<PreTokenizer> make_regex_split(std::string_view pattern, DelimiterBehavior behavior,
                                               bool invert, const std::string& where);
std::unique_ptr<PreTokenizer> make_string_split(std::string_view pattern,
                                                DelimiterBehavior behavior, bool invert);
// A space before each piece that does not start with one.
std::unique_ptr<PreTokenizer> make_prefix_space();

enum class PrependScheme : std::uint8_t { kAlways, kFirst, kNever };
std::unique_ptr<PreTokenizer> make_metaspace(std::string_view replacement, PrependScheme scheme,
                                             bool split);

}  // namespace llmcore::tokenizer
