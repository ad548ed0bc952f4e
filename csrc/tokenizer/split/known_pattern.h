// The split patterns that this library scans by hand.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace llmcore::tokenizer {

enum class KnownPattern : std::uint8_t {
  kGpt2,       // also r50k_base, p50k_base
  kCl100k,     // as tiktoken has it: white space at the end of the text stays whole
  kLlama3,     // cl100k as tokenizer.json files have it
  kQwen2,      // kLlama3 with single digits
  kO200k,      // also o200k_harmony, Llama 4
  kDeepSeekV3  // three splits after one another: digits, CJK, the rest; also R1
};

inline constexpr int kNumKnownPatterns = 6;

// By one of its texts or by name ("gpt2", "cl100k_base", "o200k_base", "llama3", "qwen2",
// "deepseek-v3", ...). Every text means the same to tiktoken's engine.
std::optional<KnownPattern> find_known_pattern(std::string_view regex_or_name);
// Of a regular expression in Oniguruma's syntax.
std::optional<KnownPattern> find_oniguruma_pattern(std::string_view regex);
// The pattern as published; of the three of DeepSeek-V3, the last one.
std::string_view pattern_text(KnownPattern pattern);
std::string_view pattern_name(KnownPattern pattern);
// The first two of DeepSeek-V3's three patterns, in order.
std::string_view deepseek_digits_text();
std::string_view deepseek_cjk_text();

}  // namespace llmcore::tokenizer
