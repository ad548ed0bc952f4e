// SentencePiece's normalisation rules by name, made from Unicode's data and compiled to the
// precompiled_charsmap of its models.
#pragma once

#include <map>
#include <string>
#include <string_view>

namespace llmcore::tokenizer {

// Left side to right side.
using CharsmapRules = std::map<std::u32string, std::u32string>;

// "nfkc", "nmt_nfkc" (with control characters dropped and more spaces) or "identity".
// Throws ConfigError for another name.
CharsmapRules charsmap_rules(std::string_view name);

// A darts-clone trie, equal branches shared, and its pool; empty for no rules.
std::string compile_charsmap(const CharsmapRules& rules);

}  // namespace llmcore::tokenizer
