// Strip, Prepend and Replace.
#pragma once

#include <memory>
#include <string>

#include "tokenizer/normalize/normalizer.h"

namespace llmcore::tokenizer {

std::unique_ptr<Normalizer> make_strip(bool left, bool right);
std::unique_ptr<Normalizer> make_prepend(std::string prefix);
std::unique_ptr<Normalizer> make_replace(std::string pattern, std::string content);
// Every match of a regular expression; throws DataError that names `where`.
std::unique_ptr<Normalizer> make_regex_replace(std::string_view pattern, std::string content,
                                               const std::string& where);

}  // namespace llmcore::tokenizer
