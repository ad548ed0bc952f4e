#include "tokenizer/split/regex_syntax.h"

#include <optional>
#include <string>
#include <utility>

#include "tokenizer/formats/json.h"
#include "tokenizer/split/pattern_reader.h"
#include "tokenizer/split/regex_nodes.h"

namespace llmcore::tokenizer {
namespace {

using Kind = RegexNode::Kind;

constexpr int kMaxCount = 1000;

struct Flags {
  bool fold = false, dot_all = false, multi_line = false;
};

class Parser : private PatternReader {
 public:
  using PatternReader::PatternReader;

  RegexNode parse() {
    RegexNode node = alternation();
    if (!done()) fail("an unmatched ')'");
    return node;
  }

 private:
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
    if (looking_at("{")) {
      int least = 0, most = 0;
      if (take_counts(least, most)) fail("a quantifier with nothing to repeat");
    }
    if (looking_at("*") || looking_at("+") || looking_at("?")) {
      fail("a quantifier with nothing to repeat");
    }
    if (take("(")) return group();
    if (take("[")) return set_node(char_class(flags_.fold));
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
    if (oniguruma_) {
      after_newline = concat(std::move(after_newline), ahead(CodePointSet::all(), false));
    }
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
        default: {
          const std::size_t start = at_;
          take_char();
          fail("the flag or group " + json_quote_start(pattern_.substr(start, at_ - start)));
        }
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

  Flags flags_;
};

}  // namespace

RegexNode parse_regex(std::string_view pattern, RegexFlavor flavor, std::string_view where) {
  return Parser(pattern, flavor, where).parse();
}

}  // namespace llmcore::tokenizer
