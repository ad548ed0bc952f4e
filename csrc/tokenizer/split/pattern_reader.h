// Reads a pattern: characters, escapes and classes. The parser in regex_syntax.cpp adds the rest.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "tokenizer/errors.h"
#include "tokenizer/formats/json.h"
#include "tokenizer/split/code_point_set.h"
#include "tokenizer/split/regex_syntax.h"
#include "tokenizer/text/utf8.h"

namespace llmcore::tokenizer {

class PatternReader {
 public:
  PatternReader(std::string_view pattern, RegexFlavor flavor, std::string_view where)
      : pattern_(pattern), oniguruma_(flavor == RegexFlavor::kOniguruma), where_(where) {
    constexpr std::size_t kMaxPatternBytes = 1 << 14;
    if (pattern.size() > kMaxPatternBytes) fail("a pattern of more than 16384 bytes");
    if (valid_utf8_length(pattern) != pattern.size()) fail("a pattern that is not UTF-8");
  }

 protected:
  static constexpr int kMaxNesting = 100;

  [[noreturn]] void fail(const std::string& what) const {
    throw DataError(std::string(where_) + ": must be a supported regular expression, got " + what +
                    " at byte " + std::to_string(at_));
  }
  bool done() const { return at_ >= pattern_.size(); }
  bool looking_at(std::string_view s) const { return pattern_.substr(at_).starts_with(s); }
  bool take(std::string_view s) {
    if (!looking_at(s)) return false;
    at_ += s.size();
    return true;
  }
  std::uint32_t take_char() {
    if (done()) fail("the end of the pattern");
    const auto* begin = reinterpret_cast<const std::uint8_t*>(pattern_.data());
    const std::uint8_t* p = begin + at_;
    const std::uint32_t c = next_char(p, begin + pattern_.size());
    at_ = static_cast<std::size_t>(p - begin);
    return c;
  }

  // What follows a backslash, in a class or out of one.
  CodePointSet escaped_set() {
    const std::uint32_t c = take_char();
    switch (c) {
      case 'd':
      case 'D':
        return negate_if(c == 'D', named_property("Nd"));
      case 's':
      case 'S':
        return negate_if(c == 'S', named_property("\\s"));
      case 'w':
      case 'W':
        return negate_if(c == 'W', named_property("\\w"));
      case 'h':
      case 'H':
        return negate_if(c == 'H', CodePointSet({{'0', '9'}, {'A', 'F'}, {'a', 'f'}}));
      case 'p':
      case 'P':
        return negate_if(c == 'P', property());
      default: {
        const std::uint32_t literal = escaped_char(c);
        return CodePointSet({{literal, literal}});
      }
    }
  }
  static CodePointSet negate_if(bool negated, const CodePointSet& set) {
    return negated ? set.complement() : set;
  }

  std::uint32_t escaped_char(std::uint32_t c) {
    switch (c) {
      case 'n':
        return '\n';
      case 'r':
        return '\r';
      case 't':
        return '\t';
      case 'f':
        return '\f';
      case 'v':
        return '\v';
      case 'a':
        return '\a';
      case 'e':
        return 0x1B;
      case 'x':
        return hex_digits(looking_at("{") ? 0 : 2);
      case 'u':
        return hex_digits(looking_at("{") ? 0 : 4);
      case 'U':
        return hex_digits(8);
      default:
        break;
    }
    const bool alphanumeric =
        (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    if (alphanumeric) fail(std::string("the escape '\\") + static_cast<char>(c) + "'");
    return c;
  }

  // `count` digits, or any number of them in braces if it is 0.
  std::uint32_t hex_digits(int count) {
    const bool braces = count == 0;
    if (braces) ++at_;
    std::uint32_t value = 0;
    int seen = 0;
    for (; !done() && (braces || seen < count); ++seen, ++at_) {
      const char c = pattern_[at_];
      const char low = static_cast<char>(c | 0x20);
      if (c >= '0' && c <= '9') {
        value = value * 16 + static_cast<std::uint32_t>(c - '0');
      } else if (low >= 'a' && low <= 'f') {
        value = value * 16 + static_cast<std::uint32_t>(low - 'a' + 10);
      } else {
        break;
      }
      if (value > kMaxCodePoint) fail("a code point above 10FFFF");
    }
    if (seen == 0 || (braces && !take("}"))) fail("an incomplete code point");
    return value;
  }

  CodePointSet property() {
    if (!take("{")) {
      // \pL, as Rust's regex has it.
      const std::string name(1, static_cast<char>(take_char() & 0x7F));
      return named_property(name);
    }
    const bool negated = take("^");
    const std::size_t end = pattern_.find('}', at_);
    if (end == std::string_view::npos) fail("a property without '}'");
    const std::string name(pattern_.substr(at_, end - at_));
    const CodePointSet set = named_property(name);
    at_ = end + 1;
    return negate_if(negated, set);
  }
  const CodePointSet& named_property(const std::string& name) {
    const auto known = properties_.find(name);
    if (known != properties_.end()) return known->second;
    std::optional<CodePointSet> set;
    if (name == "\\s") {
      set = white_space_set();
    } else if (name == "\\w") {
      set = word_set(oniguruma_);
    } else {
      set = property_set(name);
    }
    if (!set) fail("the unknown property " + json_quote_start(name));
    return properties_.emplace(name, std::move(*set)).first->second;
  }

  // After "[": up to the matching "]".
  CodePointSet char_class(bool fold) {
    if (++depth_ > kMaxNesting) fail("more than 100 nested classes");
    const bool negated = take("^");
    CodePointSet result = CodePointSet::all(), part;
    for (bool first = true;; first = false) {
      if (done()) fail("a class without ']'");
      if (!first && take("]")) break;
      if (take("&&")) {
        result = result.intersected(folded(part, fold));
        part = {};
        continue;
      }
      part = part.united(class_item(fold));
    }
    --depth_;
    return negate_if(negated, result.intersected(folded(part, fold)));
  }
  static CodePointSet folded(const CodePointSet& set, bool fold) {
    return fold ? set.case_closed() : set;
  }

  CodePointSet class_item(bool fold) {
    if (looking_at("[:")) return posix_class();
    if (take("[")) return char_class(fold);
    CodePointSet low = class_atom();
    const bool single = low.ranges().size() == 1 && low.ranges()[0].first == low.ranges()[0].last;
    if (!single || !looking_at("-") || looking_at("-]") || looking_at("-[")) return low;
    ++at_;
    const CodePointSet high = class_atom();
    const std::uint32_t first = low.ranges()[0].first;
    if (high.ranges().size() != 1 || high.ranges()[0].first != high.ranges()[0].last) {
      fail("a range that ends in a class");
    }
    const std::uint32_t last = high.ranges()[0].last;
    if (first > last) fail("a range whose first character is above its last");
    return CodePointSet({{first, last}});
  }
  CodePointSet class_atom() {
    if (take("\\")) {
      if (take("b")) return CodePointSet({{'\b', '\b'}});
      return escaped_set();
    }
    const std::uint32_t c = take_char();
    return CodePointSet({{c, c}});
  }

  CodePointSet posix_class() {
    at_ += 2;
    const bool negated = take("^");
    CodePointSet set;
    if (take("digit:]")) {
      set = oniguruma_ ? named_property("Nd") : CodePointSet({{'0', '9'}});
    } else if (take("space:]")) {
      set = oniguruma_ ? named_property("\\s") : CodePointSet({{'\t', '\r'}, {' ', ' '}});
    } else if (take("word:]")) {
      set = oniguruma_ ? named_property("\\w")
                       : CodePointSet({{'0', '9'}, {'A', 'Z'}, {'_', '_'}, {'a', 'z'}});
    } else if (take("xdigit:]")) {
      set = CodePointSet({{'0', '9'}, {'A', 'F'}, {'a', 'f'}});
    } else {
      fail("an unsupported POSIX class");
    }
    return negate_if(negated, set);
  }

  std::string_view pattern_;
  bool oniguruma_;
  std::string_view where_;
  std::size_t at_ = 0;
  int depth_ = 0;
  std::map<std::string, CodePointSet> properties_;
};

}  // namespace llmcore::tokenizer
