#include "tokenizer/split/regex_syntax.h"

#include <map>
#include <optional>
#include <string>
#include <utility>

#include "tokenizer/errors.h"
#include "tokenizer/split/regex_nodes.h"
#include "tokenizer/text/utf8.h"

namespace llmcore::tokenizer {
namespace {

using Kind = RegexNode::Kind;

constexpr int kMaxNesting = 100;
constexpr int kMaxCount = 1000;
constexpr std::size_t kMaxPatternBytes = 1 << 16;

struct Flags {
  bool fold = false, dot_all = false, multi_line = false;
};

class Parser {
 public:
  Parser(std::string_view pattern, RegexFlavor flavor, std::string_view where)
      : pattern_(pattern), oniguruma_(flavor == RegexFlavor::kOniguruma), where_(where) {
    if (pattern.size() > kMaxPatternBytes) fail("a pattern of more than 65536 bytes");
    if (valid_utf8_length(pattern) != pattern.size()) fail("a pattern that is not UTF-8");
  }

  RegexNode parse() {
    RegexNode node = alternation();
    if (!done()) fail("an unmatched ')'");
    return node;
  }

 private:
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

  RegexNode alternation() {
    if (++depth_ > kMaxNesting) fail("more than 100 nested groups");
    const Flags outer = flags_;
    RegexNode node{.kind = Kind::kAlternate};
    do {
      node.children.push_back(sequence());
    } while (take("|"));
    flags_ = outer;
    --depth_;
    return node.children.size() == 1 ? std::move(node.children.front()) : node;
  }

  RegexNode sequence() {
    RegexNode node{.kind = Kind::kConcat};
    while (!done() && !looking_at("|") && !looking_at(")")) {
      node.children.push_back(quantified(atom()));
    }
    if (node.children.empty()) return {};
    return node.children.size() == 1 ? std::move(node.children.front()) : node;
  }

  RegexNode quantified(RegexNode node) {
    for (int stacked = 0;; ++stacked) {
      int least = 0, most = kUnlimited;
      const bool counted = looking_at("{");
      if (counted) {
        if (!take_counts(least, most)) return node;
      } else if (take("?")) {
        most = 1;
      } else if (take("+")) {
        least = 1;
      } else if (!take("*")) {
        return node;
      }
      if (stacked >= 4) fail("more than four quantifiers in a row");
      Greed greed = Greed::kGreedy;
      // Oniguruma: X{2}? is (?:X{2})?, and X{1,3}+ is (?:X{1,3})+.
      if (!(counted && oniguruma_ && least == most) && take("?")) greed = Greed::kLazy;
      if (!(counted && oniguruma_) && greed == Greed::kGreedy && take("+")) {
        greed = Greed::kPossessive;
      }
      if (greed != Greed::kPossessive) {
        node = repeat(std::move(node), least, most, greed);
        continue;
      }
      if (node.kind != Kind::kSet) fail("a possessive quantifier on more than one character");
      node = possessive_repeat(node, least, most);
    }
  }

  // {n} {n,} {n,m} and Oniguruma's {,m}; anything else is a literal brace.
  bool take_counts(int& least, int& most) {
    const std::size_t start = at_++;
    const int first = take_number();
    const bool comma = take(",");
    const int second = comma ? take_number() : first;
    const bool open_start = first < 0 && second >= 0 && oniguruma_;
    if (!take("}") || (first < 0 && !open_start)) {
      at_ = start;
      return false;
    }
    least = first < 0 ? 0 : first;
    most = second < 0 ? kUnlimited : second;
    if (most != kUnlimited && least > most) fail("a count whose least is above its most");
    return true;
  }
  int take_number() {
    int value = -1;
    while (!done() && pattern_[at_] >= '0' && pattern_[at_] <= '9') {
      value = (value < 0 ? 0 : value) * 10 + (pattern_[at_++] - '0');
      if (value > kMaxCount) fail("a count above 1000");
    }
    return value;
  }

  RegexNode atom() {
    if (looking_at("{") && at_ > 0) {
      int least = 0, most = 0;
      if (take_counts(least, most)) fail("a quantifier with nothing to repeat");
    }
    if (looking_at("*") || looking_at("+") || looking_at("?")) {
      fail("a quantifier with nothing to repeat");
    }
    if (take("(")) return group();
    if (take("[")) return set_node(char_class());
    if (take(".")) {
      const CodePointSet newline({{'\n', '\n'}});
      return set_node(flags_.dot_all ? CodePointSet::all() : newline.complement(), false);
    }
    if (take("^")) return oniguruma_ || flags_.multi_line ? line_start() : text_start();
    if (take("$")) return oniguruma_ || flags_.multi_line ? line_end() : text_end();
    if (looking_at("\\")) return escape();
    const std::uint32_t c = take_char();
    return set_node(CodePointSet({{c, c}}));
  }

  RegexNode set_node(CodePointSet set, bool may_fold = true) const {
    if (flags_.fold && may_fold) set = set.case_closed();
    return {.kind = Kind::kSet, .set = std::move(set)};
  }

  RegexNode text_start() const { return behind({}, true); }
  RegexNode text_end() const { return ahead({}, true); }
  RegexNode line_start() const {
    RegexNode after_newline = behind(CodePointSet({{'\n', '\n'}}), false);
    // Not after the text's last newline, in Oniguruma.
    if (oniguruma_) after_newline = concat(std::move(after_newline), ahead(CodePointSet::all(), false));
    return alternate(text_start(), std::move(after_newline));
  }
  RegexNode line_end() const { return ahead(CodePointSet({{'\n', '\n'}}), true); }

  RegexNode word_boundary(bool negated) {
    const CodePointSet word = named_property("\\w"), other = word.complement();
    RegexNode starts = concat(behind(negated ? word : other, !negated), ahead(word, false));
    RegexNode ends = concat(behind(negated ? other : word, negated), ahead(other, true));
    return alternate(std::move(starts), std::move(ends));
  }

  RegexNode group() {
    if (!take("?")) return close(alternation());
    if (take(":")) return close(alternation());
    if (take("#")) {
      while (!done() && !looking_at(")")) ++at_;
      return close({});
    }
    if (take("=")) return look(true, false);
    if (take("!")) return look(true, true);
    if (take("<=")) return look(false, false);
    if (take("<!")) return look(false, true);
    if (take("P<") || take("<")) {
      while (!done() && !looking_at(">")) ++at_;
      if (!take(">")) fail("a group's name without '>'");
      return close(alternation());
    }
    if (take(">")) return atomic(close(alternation()));
    return flag_group();
  }
  RegexNode close(RegexNode node) {
    if (!take(")")) fail("a group without ')'");
    return node;
  }

  RegexNode atomic(RegexNode node) {
    const bool plain = node.kind == Kind::kRepeat && node.children[0].kind == Kind::kSet;
    if (plain && node.greed == Greed::kGreedy) {
      return possessive_repeat(node.children[0], node.least, node.most);
    }
    if (node.kind != Kind::kSet) fail("an atomic group of more than one repeated character");
    return node;
  }

  RegexNode flag_group() {
    const Flags outer = flags_;
    bool on = true;
    while (!done() && !looking_at(")") && !looking_at(":")) {
      switch (pattern_[at_]) {
        case '-':
          on = false;
          break;
        case 'i':
          flags_.fold = on;
          break;
        case 'm':
          (oniguruma_ ? flags_.dot_all : flags_.multi_line) = on;
          break;
        case 's':
          if (oniguruma_) fail("the flag 's'");
          flags_.dot_all = on;
          break;
        default:
          fail(std::string("the flag or group '") + pattern_[at_] + "'");
      }
      ++at_;
    }
    if (take(":")) {
      RegexNode node = close(alternation());
      flags_ = outer;
      return node;
    }
    if (!take(")")) fail("a group without ')'");
    // (?i) holds to the end of the group around it; Oniguruma makes one group of all that follows.
    return oniguruma_ ? alternation() : RegexNode{};
  }

  RegexNode look(bool is_ahead, bool negated) {
    RegexNode body = close(alternation());
    std::optional<RegexNode> node = single_character_look(body, is_ahead);
    if (!node) fail("a look-around of more than one character");
    if (negated) {
      node->set = node->set.complement();
      node->at_edge = !node->at_edge;
    }
    return std::move(*node);
  }

  RegexNode escape() {
    ++at_;
    const std::size_t start = at_;
    switch (take_char()) {
      case 'b':
        return word_boundary(false);
      case 'B':
        return word_boundary(true);
      case 'A':
        return text_start();
      case 'z':
        return text_end();
      default:
        at_ = start;
    }
    return set_node(escaped_set());
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
  static CodePointSet negate_if(bool negated, CodePointSet set) {
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
    if (!set) fail("the unknown property \"" + name + "\"");
    return properties_.emplace(name, std::move(*set)).first->second;
  }

  // After "[": up to the matching "]".
  CodePointSet char_class() {
    if (++depth_ > kMaxNesting) fail("more than 100 nested classes");
    const bool negated = take("^");
    CodePointSet result = CodePointSet::all(), part;
    for (bool first = true;; first = false) {
      if (done()) fail("a class without ']'");
      if (!first && take("]")) break;
      if (take("&&")) {
        result = result.intersected(folded(part));
        part = {};
        continue;
      }
      part = part.united(class_item());
    }
    --depth_;
    return negate_if(negated, result.intersected(folded(part)));
  }
  CodePointSet folded(const CodePointSet& set) const {
    return flags_.fold ? set.case_closed() : set;
  }

  CodePointSet class_item() {
    if (looking_at("[:")) return posix_class();
    if (take("[")) return char_class();
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
  Flags flags_;
  std::map<std::string, CodePointSet> properties_;
};

}  // namespace

RegexNode parse_regex(std::string_view pattern, RegexFlavor flavor, std::string_view where) {
  return Parser(pattern, flavor, where).parse();
}

}  // namespace llmcore::tokenizer
