// Strip, Prepend and Replace by a literal.
#pragma once

#include <memory>
#include <string>

#include "tokenizer/normalize/normalizer.h"

namespace llmcore::tokenizer {

std::unique_ptr<Normalizer> make_strip(bool left, bool right);
std::unique_ptr<Normalizer> make_prepend(std::string prefix);
std::unique_ptr<Normalizer> make_replace(std::string pattern, std::string content);

}  // namespace llmcore::tokenizer
