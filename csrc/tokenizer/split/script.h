// Scripts of characters.
#pragma once

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <optional>
#include <string_view>

#include "tokenizer/split/script_tables.h"

namespace llmcore::tokenizer {

// 0: none (unassigned). Otherwise 1 + the index in kScriptNames.
using Script = std::uint8_t;

inline constexpr Script kNoScript = 0;

// `name` in lower case without underscores, as "oldpersian".
constexpr std::optional<Script> find_script(std::string_view name) {
  const auto* found = std::ranges::find(kScriptNames, name);
  if (found == std::end(kScriptNames)) return std::nullopt;
  return static_cast<Script>(1 + (found - std::begin(kScriptNames)));
}

// Of a name that is in the table.
constexpr Script script_named(std::string_view name) {
  return find_script(name).value_or(kNoScript);
}

inline Script script_of(std::uint32_t c) {
  const auto* after = std::ranges::upper_bound(kScriptRanges, c, {}, &ScriptRange::first);
  if (after == std::begin(kScriptRanges)) return kNoScript;
  const ScriptRange& range = *std::prev(after);
  return c <= range.last ? range.script : kNoScript;
}

// As the pre-tokenizer UnicodeScripts sees it: an older Unicode, kana with Han, and no script for
// U+0020.
inline Script pre_tokenizer_script_of(std::uint32_t c) {
  constexpr Script kHan = script_named("han");
  constexpr Script kHiragana = script_named("hiragana"), kKatakana = script_named("katakana");
  constexpr Script kCommon = script_named("common"), kDevanagari = script_named("devanagari");
  if (c == ' ') return kNoScript;
  if (c == 0x30FC) return kHan;
  if (c == 0x589 || c == 0x61C) return kCommon;
  if (c == 0x953 || c == 0x954) return kDevanagari;
  const auto* after = std::ranges::upper_bound(kLaterScriptRanges, c, {}, &LaterRange::first);
  if (after != std::begin(kLaterScriptRanges) && c <= std::prev(after)->last) return kNoScript;
  const Script script = script_of(c);
  return script == kHiragana || script == kKatakana ? kHan : script;
}

}  // namespace llmcore::tokenizer
