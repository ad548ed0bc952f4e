// Pre-tokenizers that other files name instead of spelling them.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace llmcore::tokenizer {

struct KnownSplit {
  std::string_view name;         // as `pattern` takes it
  std::string_view other_names;  // separated by spaces
  std::string_view gguf_names;   // tokenizer.ggml.pre, the one to write first; empty: none
  // Regular expressions that cut one after the other; GPT-2's own is left to ByteLevel.
  std::vector<std::string_view> patterns;
  bool byte_level_regex = false;
  bool nfc = false;            // the vocabulary's models normalise to NFC first
  bool ignore_merges = false;  // as llama.cpp sets it for the name
};

const std::vector<KnownSplit>& known_splits();
// By `name` or `other_names`, or cl100k by tiktoken's pattern; by a name of GGUF. Null if unknown.
const KnownSplit* find_split(std::string_view name);
const KnownSplit* find_gguf_split(std::string_view name);

// The component, compact.
std::string pre_tokenizer_of(const KnownSplit& split);
// A component that cuts by one regular expression.
std::string pre_tokenizer_of_regex(std::string_view regex);
std::string normalizer_of(const KnownSplit& split);
// By `name`, or else as a regular expression.
std::string pre_tokenizer_of_pattern(std::string_view pattern);

}  // namespace llmcore::tokenizer
