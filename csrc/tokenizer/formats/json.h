// Reads JSON (RFC 8259) into a tree: strict, bounded in depth, linear in time, a few times the text
// in memory. A vocabulary of 200,000 tokens is one object of 200,000 members here.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace llmcore::tokenizer {

struct JsonMember;

// A value in a JsonDocument, which must outlive it.
class Json {
 public:
  enum class Kind : std::uint8_t { kNull, kBool, kInteger, kNumber, kString, kArray, kObject };

  Kind kind() const { return kind_; }
  bool is_null() const { return kind_ == Kind::kNull; }
  bool is_string() const { return kind_ == Kind::kString; }
  bool is_array() const { return kind_ == Kind::kArray; }
  bool is_object() const { return kind_ == Kind::kObject; }
  bool is_integer() const { return kind_ == Kind::kInteger; }

  // What the value holds. The kind must fit (number() takes integers too).
  bool boolean() const { return integer_ != 0; }
  std::int64_t integer() const { return integer_; }
  double number() const { return is_integer() ? static_cast<double>(integer_) : number_; }
  std::string_view string() const { return {chars_, size_}; }
  std::span<const Json> items() const;
  std::span<const JsonMember> members() const;  // in the order of the file

  // Member `name` of an object; a null value if there is none or this is no object. Linear: for
  // small objects.
  const Json& operator[](std::string_view name) const;

  // Checked access for readers. Each throws DataError "WHERE: must be ..., got ...".
  std::string_view as_string(std::string_view where) const;
  std::int64_t as_integer(std::string_view where, std::int64_t least, std::int64_t most) const;
  double as_number(std::string_view where) const;
  bool as_bool(std::string_view where) const;
  std::span<const Json> as_items(std::string_view where) const;
  std::span<const JsonMember> as_members(std::string_view where) const;
  // For messages: `null`, `true`, `"text"` (cut), `12`, `an object of type "NFC"`, `a list`.
  std::string describe() const;

 private:
  friend class JsonReader;
  Kind kind_ = Kind::kNull;
  std::uint32_t size_ = 0;
  union {
    std::int64_t integer_ = 0;
    double number_;
    const char* chars_;
    const Json* items_;
    const JsonMember* members_;
  };
};

struct JsonMember {
  std::string_view name;
  Json value;
};

class JsonDocument {
 public:
  // Parses all of `text`, a copy of which is kept. Throws DataError "NAME: must be JSON, got ... at
  // byte N" for anything else, for a name that occurs twice in one object and for more than 256
  // levels of nesting.
  JsonDocument(std::string text, std::string_view name);
  // The same of a text that the caller keeps as long as the document.
  struct Borrowed {
    std::string_view text;
  };
  JsonDocument(Borrowed text, std::string_view name);
  const Json& root() const { return root_; }

 private:
  friend class JsonReader;
  std::unique_ptr<const std::string> owned_;  // on the heap: a document may move
  std::string_view text_;
  std::deque<std::string> unescaped_;
  // Items and members, in blocks: a vocabulary's merges are many small lists.
  std::vector<std::unique_ptr<Json[]>> arrays_;
  std::vector<std::unique_ptr<JsonMember[]>> objects_;
  Json root_;
};

// `text` as a JSON string, quotes included.
std::string json_quote(std::string_view text);
// Of its start alone, cut between characters, for messages.
std::string json_quote_start(std::string_view text);

}  // namespace llmcore::tokenizer
