#include "tokenizer/split/known_pretokenizer.h"

namespace llmcore::tokenizer {
namespace {

bool is_false(const Json& value) {
  return value.kind() == Json::Kind::kBool && !value.boolean();
}
bool is_text(const Json& value, std::string_view text) {
  return value.is_string() && value.string() == text;
}

// ByteLevel that only maps bytes to their stand-ins.
bool is_plain_byte_level(const Json& component) {
  return is_text(component["type"], "ByteLevel") && is_false(component["add_prefix_space"]) &&
         is_false(component["use_regex"]);
}

// The regular expression of a Split that keeps every match as a piece.
std::optional<std::string_view> kept_pattern(const Json& component) {
  const Json& regex = component["pattern"]["Regex"];
  if (!is_text(component["type"], "Split") || !regex.is_string()) return std::nullopt;
  const Json& invert = component["invert"];
  const bool inverted = invert.kind() == Json::Kind::kBool && invert.boolean();
  const bool keeps = is_text(component["behavior"], "Isolated") ||
                     (is_text(component["behavior"], "Removed") && inverted);
  return keeps ? std::optional(regex.string()) : std::nullopt;
}

std::optional<KnownPattern> known_split(const Json& component) {
  const std::optional<std::string_view> text = kept_pattern(component);
  return text ? find_oniguruma_pattern(*text) : std::nullopt;
}

}  // namespace

bool is_deepseek_splits(std::span<const Json> items) {
  if (items.size() < 3) return false;
  const std::string_view texts[3] = {deepseek_digits_text(), deepseek_cjk_text(),
                                     pattern_text(KnownPattern::kDeepSeekV3)};
  for (std::size_t i = 0; i < 3; ++i) {
    if (!is_text(items[i]["behavior"], "Isolated") || kept_pattern(items[i]) != texts[i]) {
      return false;
    }
  }
  return true;
}

std::optional<KnownPattern> find_known_pattern(const Json& pre_tokenizer) {
  const Json& type = pre_tokenizer["type"];
  if (is_text(type, "ByteLevel")) {
    const Json& use_regex = pre_tokenizer["use_regex"];
    const bool splits = use_regex.is_null() || !is_false(use_regex);
    const bool plain = is_false(pre_tokenizer["add_prefix_space"]);
    return plain && splits ? std::optional(KnownPattern::kGpt2) : std::nullopt;
  }
  const Json& parts = pre_tokenizer["pretokenizers"];
  if (!is_text(type, "Sequence") || !parts.is_array()) return std::nullopt;
  const std::span<const Json> items = parts.items();
  if (items.size() == 2 && is_plain_byte_level(items[1])) return known_split(items[0]);
  if (items.size() == 4 && is_plain_byte_level(items[3]) && is_deepseek_splits(items)) {
    return KnownPattern::kDeepSeekV3;
  }
  return std::nullopt;
}

}  // namespace llmcore::tokenizer
