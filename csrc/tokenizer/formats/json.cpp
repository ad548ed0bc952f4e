#include "tokenizer/formats/json.h"

#include <algorithm>

#include "tokenizer/errors.h"

namespace llmcore::tokenizer {

namespace {

const Json kNothing;

[[noreturn]] void fail(std::string_view where, std::string_view expected, const Json& got) {
  throw DataError(std::string(where) + ": must be " + std::string(expected) + ", got " +
                  got.describe());
}

}  // namespace

std::span<const Json> Json::items() const {
  return {items_, size_};
}

std::span<const JsonMember> Json::members() const {
  return {members_, size_};
}

const Json& Json::operator[](std::string_view name) const {
  if (!is_object()) return kNothing;
  for (const JsonMember& member : members()) {
    if (member.name == name) return member.value;
  }
  return kNothing;
}

std::string_view Json::as_string(std::string_view where) const {
  if (!is_string()) fail(where, "a string", *this);
  return string();
}

std::int64_t Json::as_integer(std::string_view where, std::int64_t least, std::int64_t most) const {
  if (!is_integer() || integer_ < least || integer_ > most) {
    fail(where, "an integer from " + std::to_string(least) + " to " + std::to_string(most), *this);
  }
  return integer_;
}

double Json::as_number(std::string_view where) const {
  if (!is_integer() && kind_ != Kind::kNumber) fail(where, "a number", *this);
  return number();
}

bool Json::as_bool(std::string_view where) const {
  if (kind_ != Kind::kBool) fail(where, "true or false", *this);
  return boolean();
}

std::span<const Json> Json::as_items(std::string_view where) const {
  if (!is_array()) fail(where, "a list", *this);
  return items();
}

std::span<const JsonMember> Json::as_members(std::string_view where) const {
  if (!is_object()) fail(where, "an object", *this);
  return members();
}

std::string Json::describe() const {
  switch (kind_) {
    case Kind::kNull:
      return "null";
    case Kind::kBool:
      return boolean() ? "true" : "false";
    case Kind::kInteger:
      return std::to_string(integer_);
    case Kind::kNumber:
      return std::to_string(number_);
    case Kind::kString:
      return json_quote_start(string());
    case Kind::kArray:
      return "a list";
    case Kind::kObject:
      break;
  }
  const Json& type = (*this)["type"];
  return type.is_string() ? "an object of type " + type.describe() : "an object";
}

std::string json_quote(std::string_view text) {
  constexpr char kHex[] = "0123456789abcdef";
  std::string out = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      (out += '\\') += c;
    } else if (byte < 0x20 || byte == 0x7F) {
      (((out += "\\u00") += kHex[byte >> 4])) += kHex[byte & 15];
    } else {
      out += c;
    }
  }
  return out += '"';
}

std::string json_quote_start(std::string_view text) {
  std::size_t size = std::min<std::size_t>(text.size(), 64);
  while (size > 0 && size < text.size() && (text[size] & 0xC0) == 0x80) --size;
  return json_quote(text.substr(0, size));
}

}  // namespace llmcore::tokenizer
