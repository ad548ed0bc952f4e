#include "tokenizer/train/piece_rules.h"

#include <cstdint>

#include "tokenizer/split/script.h"
#include "tokenizer/text/utf8.h"

namespace llmcore::tokenizer {
namespace {

constexpr std::uint32_t kWordStart = 0x2581;
constexpr std::uint32_t kLongVowel = 0x30FC;
constexpr std::uint32_t kWideZero = 0xFF10;

constexpr int kAnyScript = -1;

// Kana count as Han; any script for a mark, which takes that of what it follows.
int trainer_script(std::uint32_t c) {
  constexpr Script kHan = script_named("han"), kInherited = script_named("inherited");
  constexpr Script kHiragana = script_named("hiragana"), kKatakana = script_named("katakana");
  const Script script = script_of(c);
  if (script == kHiragana || script == kKatakana || c == kLongVowel) return kHan;
  return script == kInherited ? kAnyScript : script;
}

}  // namespace

bool PieceRules::allows(std::string_view piece) const {
  const auto* p = reinterpret_cast<const std::uint8_t*>(piece.data());
  const std::uint8_t* const end = p + piece.size();
  int last = kAnyScript;
  std::size_t num_chars = 0, num_digits = 0;
  while (p < end) {
    const std::uint32_t c = next_char(p, end);
    ++num_chars;
    if (c == kWordStart) {
      if (num_chars > 1) return false;
      continue;
    }
    if (c == 0 && piece.size() > 1) return false;
    const bool is_digit = (c >= '0' && c <= '9') || (c >= kWideZero && c <= kWideZero + 9);
    num_digits += is_digit ? 1 : 0;
    int script = trainer_script(c);
    if (script == kAnyScript) script = last;
    if (is_digit && !split_by_number) script = kAnyScript;
    const bool is_mixed = script != kAnyScript && last != kAnyScript && script != last;
    if (split_by_unicode_script && is_mixed) return false;
    last = script;
  }
  return num_chars <= max_chars && !(split_digits && num_digits > 0 && num_chars > 1);
}

}  // namespace llmcore::tokenizer
