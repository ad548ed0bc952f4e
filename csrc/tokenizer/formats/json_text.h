// Values of a JsonDocument back to text, and small helpers to write JSON by hand.
#pragma once

#include <string>
#include <string_view>

#include "tokenizer/formats/json.h"

namespace llmcore::tokenizer {

// Compact, members in their order; equal values give equal texts.
std::string json_text(const Json& value);
void append_json_text(std::string& out, const Json& value);

// The shortest text that reads back as the same number. `value` must be finite.
void append_json_number(std::string& out, double value);

inline std::string_view json_bool(bool value) {
  return value ? "true" : "false";
}

// True itself: not another value, nor a missing one.
inline bool is_true(const Json& value) {
  return value.kind() == Json::Kind::kBool && value.boolean();
}

// `text`, which must be JSON, without its white space: for comparing components.
std::string compact_json(const std::string& text, std::string_view name);

}  // namespace llmcore::tokenizer
