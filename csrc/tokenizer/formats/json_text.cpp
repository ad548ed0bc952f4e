#include "tokenizer/formats/json_text.h"

#include <charconv>

namespace llmcore::tokenizer {

void append_json_number(std::string& out, double value) {
  char digits[32];
  const auto end = std::to_chars(digits, digits + sizeof digits, value).ptr;
  const std::string_view text(digits, static_cast<std::size_t>(end - digits));
  out += text;
  // A number without point or exponent would read back as an integer.
  if (text.find_first_of(".e") == std::string_view::npos) out += ".0";
}

void append_json_text(std::string& out, const Json& value) {
  switch (value.kind()) {
    case Json::Kind::kNull:
      out += "null";
      return;
    case Json::Kind::kBool:
      out += json_bool(value.boolean());
      return;
    case Json::Kind::kInteger:
      out += std::to_string(value.integer());
      return;
    case Json::Kind::kNumber:
      append_json_number(out, value.number());
      return;
    case Json::Kind::kString:
      out += json_quote(value.string());
      return;
    case Json::Kind::kArray: {
      char separator = '[';
      for (const Json& item : value.items()) {
        out += separator;
        append_json_text(out, item);
        separator = ',';
      }
      out += separator == '[' ? "[]" : "]";
      return;
    }
    case Json::Kind::kObject: {
      char separator = '{';
      for (const JsonMember& member : value.members()) {
        out += separator;
        (out += json_quote(member.name)) += ':';
        append_json_text(out, member.value);
        separator = ',';
      }
      out += separator == '{' ? "{}" : "}";
      return;
    }
  }
}

std::string json_text(const Json& value) {
  std::string out;
  append_json_text(out, value);
  return out;
}

std::string compact_json(const std::string& text, std::string_view name) {
  return json_text(JsonDocument(text, name).root());
}

}  // namespace llmcore::tokenizer
