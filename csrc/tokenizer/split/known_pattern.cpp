#include "tokenizer/split/known_pattern.h"

#include <array>

namespace llmcore::tokenizer {
namespace {

using enum KnownPattern;

struct Entry {
  KnownPattern pattern;
  std::string_view text;
};

// The first text of each pattern is the one that pattern_text() gives.
// Sources: tiktoken_ext/openai_public.py; tokenizer.json of the models named.
constexpr std::array kTexts{
    Entry{kGpt2, R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)"},
    Entry{kGpt2, R"('(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)"},
    Entry{kGpt2,
          R"('(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s)"},
    Entry{kCl100k, R"('(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| )"
                   R"(?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]|\s+(?!\S)|\s)"},
    // The same to Oniguruma, which reads {1,3}+ as a loop and $ as the end of a line.
    Entry{kCl100k, R"('(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| )"
                   R"(?[^\s\p{L}\p{N}]+[\r\n]*|\s+\z|\s*[\r\n]|\s+(?!\S)|\s)"},
    Entry{kLlama3, R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| )"
                   R"(?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)"},
    Entry{kQwen2, R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| )"
                  R"(?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)"},
    Entry{kO200k, R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+)"
                  R"((?i:'s|'t|'re|'ve|'m|'ll|'d)?|)"
                  R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*)"
                  R"((?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| )"
                  R"(?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)"},
    Entry{
        kDeepSeekV3,
        R"([!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| )"
        R"(?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)"},
};

struct Name {
  std::string_view name;
  KnownPattern pattern;
};

// The first name of each pattern is the one that pattern_name() gives.
constexpr std::array kNames{
    Name{"gpt2", kGpt2},        Name{"r50k_base", kGpt2},         Name{"p50k_base", kGpt2},
    Name{"p50k_edit", kGpt2},   Name{"cl100k_base", kCl100k},     Name{"cl100k", kCl100k},
    Name{"llama3", kLlama3},    Name{"llama-3", kLlama3},         Name{"qwen2", kQwen2},
    Name{"o200k_base", kO200k}, Name{"o200k_harmony", kO200k},    Name{"o200k", kO200k},
    Name{"gpt-4o", kO200k},     Name{"deepseek-v3", kDeepSeekV3}, Name{"deepseek-r1", kDeepSeekV3},
};

}  // namespace

std::optional<KnownPattern> find_known_pattern(std::string_view regex_or_name) {
  for (const Entry& entry : kTexts) {
    if (entry.text == regex_or_name && entry.pattern != kDeepSeekV3) return entry.pattern;
  }
  for (const Name& name : kNames) {
    if (name.name == regex_or_name) return name.pattern;
  }
  return std::nullopt;
}

std::optional<KnownPattern> find_oniguruma_pattern(std::string_view regex) {
  if (regex.find('\\') == regex.npos) return std::nullopt;  // a name
  return regex == pattern_text(kCl100k) ? std::nullopt : find_known_pattern(regex);
}

std::string_view pattern_text(KnownPattern pattern) {
  for (const Entry& entry : kTexts) {
    if (entry.pattern == pattern) return entry.text;
  }
  return {};
}

std::string_view pattern_name(KnownPattern pattern) {
  for (const Name& name : kNames) {
    if (name.pattern == pattern) return name.name;
  }
  return {};
}

std::string_view deepseek_digits_text() {
  return R"(\p{N}{1,3})";
}

std::string_view deepseek_cjk_text() {
  return "[一-龥぀-ゟ゠-ヿ]+";
}

}  // namespace llmcore::tokenizer
