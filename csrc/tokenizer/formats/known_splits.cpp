#include "tokenizer/formats/known_splits.h"

#include "tokenizer/formats/json.h"

namespace llmcore::tokenizer {
namespace {

// As tiktoken 0.14 reads its own text: \z takes line breaks at the very end that Llama-3's leaves.
constexpr std::string_view kCl100k =
    R"('(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s+\z|\s*[\r\n]|\s+(?!\S)|\s)";
constexpr std::string_view kCl100kOfTiktoken =
    R"('(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]|\s+(?!\S)|\s)";
constexpr std::string_view kLlama3 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kQwen2 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kQwen35 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kO200k =
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kTekken =
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kDeepSeek3 =
    R"([!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kGpt2Open =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S))";

std::vector<KnownSplit> make_splits() {
  return {
      {"gpt2",
       "r50k_base p50k_base p50k_edit",
       "gpt-2 phi-2 jina-es jina-de jina-v2-es jina-v2-de jina-v2-code mpt olmo jais roberta-bpe",
       {},
       true,
       false,
       false},
      {"cl100k_base", "cl100k", "", {kCl100k}, false, false, false},
      {"o200k_base", "o200k o200k_harmony gpt-4o", "gpt-4o", {kO200k}, false, false, false},
      {"llama3",
       "llama-bpe",
       "llama-bpe llama3 llama-v3 falcon3 pixtral",
       {kLlama3},
       false,
       false,
       true},
      {"chatglm", "glm4", "chatglm-bpe glm4 dbrx smaug-bpe", {kLlama3}, false, false, false},
      {"qwen2", "qwen2.5 qwen3", "qwen2 deepseek-r1-qwen", {kQwen2}, false, true, false},
      {"stablelm2", "", "stablelm2", {kQwen2}, false, false, false},
      {"qwen3.5", "qwen35", "qwen35", {kQwen35}, false, true, false},
      {"tekken", "", "tekken", {kTekken}, false, false, true},
      {"deepseek-v3",
       "deepseek",
       "deepseek-v3",
       {R"(\p{N}{1,3})", "[一-龥぀-ゟ゠-ヿ]+", kDeepSeek3},
       false,
       false,
       false},
      {"deepseek-coder",
       "",
       "deepseek-coder",
       {"[\r\n]", R"(\s?\p{L}+)", R"(\s?\p{P}+)", "[一-龥ࠀ-一가-퟿]+", R"(\p{N})"},
       false,
       false,
       false},
      {"starcoder",
       "",
       "starcoder refact command-r smollm codeshell exaone minerva-7b",
       {R"(\p{N})"},
       true,
       false,
       false},
      {"falcon",
       "",
       "falcon",
       {R"([\p{P}\$\+<=>\^~\|`]+)", kGpt2Open, "[0-9][0-9][0-9]"},
       false,
       false,
       false},
      {"default",
       "",
       "default",
       {R"([\p{P}\$\+<=>\^~\|]+)", kGpt2Open, R"(\p{N}+)", "[0-9][0-9][0-9]"},
       false,
       false,
       false},
  };
}

bool has_word(std::string_view words, std::string_view word) {
  for (std::size_t at = 0; at < words.size();) {
    const std::size_t end = std::min(words.find(' ', at), words.size());
    if (words.substr(at, end - at) == word) return true;
    at = end + 1;
  }
  return false;
}

std::string split_json(std::string_view regex) {
  return R"({"type":"Split","pattern":{"Regex":)" + json_quote(regex) +
         R"(},"behavior":"Isolated","invert":false})";
}

std::string byte_level_json(bool use_regex) {
  return std::string(R"({"type":"ByteLevel","add_prefix_space":false,"trim_offsets":true,)") +
         R"("use_regex":)" + (use_regex ? "true}" : "false}");
}

}  // namespace

const std::vector<KnownSplit>& known_splits() {
  static const std::vector<KnownSplit> splits = make_splits();
  return splits;
}

const KnownSplit* find_split(std::string_view name) {
  if (name == kCl100kOfTiktoken) name = "cl100k_base";
  for (const KnownSplit& split : known_splits()) {
    if (split.name == name || has_word(split.other_names, name)) return &split;
  }
  return nullptr;
}

const KnownSplit* find_gguf_split(std::string_view name) {
  for (const KnownSplit& split : known_splits()) {
    if (has_word(split.gguf_names, name)) return &split;
  }
  return nullptr;
}

std::string pre_tokenizer_of(const KnownSplit& split) {
  if (split.patterns.empty()) return byte_level_json(true);
  std::string out = R"({"type":"Sequence","pretokenizers":[)";
  for (const std::string_view pattern : split.patterns) (out += split_json(pattern)) += ',';
  return out + byte_level_json(split.byte_level_regex) + "]}";
}

std::string pre_tokenizer_of_regex(std::string_view regex) {
  return R"({"type":"Sequence","pretokenizers":[)" + split_json(regex) + "," +
         byte_level_json(false) + "]}";
}

std::string normalizer_of(const KnownSplit& split) {
  return split.nfc ? R"({"type":"NFC"})" : "null";
}

std::string pre_tokenizer_of_pattern(std::string_view pattern) {
  const KnownSplit* split = find_split(pattern);
  return split != nullptr ? pre_tokenizer_of(*split) : pre_tokenizer_of_regex(pattern);
}

}  // namespace llmcore::tokenizer
