// Ways to build nodes of a pattern's tree.
#pragma once

#include <optional>
#include <utility>

#include "tokenizer/split/regex_syntax.h"

namespace llmcore::tokenizer {

inline RegexNode ahead(CodePointSet set, bool at_edge) {
  return {.kind = RegexNode::Kind::kAhead, .at_edge = at_edge, .set = std::move(set)};
}
inline RegexNode behind(CodePointSet set, bool at_edge) {
  return {.kind = RegexNode::Kind::kBehind, .at_edge = at_edge, .set = std::move(set)};
}
inline RegexNode concat(RegexNode a, RegexNode b) {
  RegexNode node{.kind = RegexNode::Kind::kConcat};
  node.children.push_back(std::move(a));
  node.children.push_back(std::move(b));
  return node;
}
inline RegexNode alternate(RegexNode a, RegexNode b) {
  RegexNode node = concat(std::move(a), std::move(b));
  node.kind = RegexNode::Kind::kAlternate;
  return node;
}
inline RegexNode repeat(RegexNode child, int least, int most, Greed greed) {
  RegexNode node{.kind = RegexNode::Kind::kRepeat, .greed = greed, .least = least, .most = most};
  node.children.push_back(std::move(child));
  return node;
}

// A repetition of one character that gives nothing back: X{2,3}+ is XX(?:X|(?!X)), X*+ is
// X*(?!X). Exact, because all that could be given back is an X.
inline RegexNode possessive_repeat(const RegexNode& one, int least, int most) {
  const RegexNode no_more = ahead(one.set.complement(), true);
  RegexNode tail;
  if (most == kUnlimited) {
    tail = concat(repeat(one, 0, kUnlimited, Greed::kGreedy), no_more);
  } else {
    for (int i = least; i < most; ++i) {
      tail = alternate(tail.kind == RegexNode::Kind::kEmpty ? one : concat(one, std::move(tail)),
                       no_more);
    }
  }
  return least == 0 ? tail : concat(repeat(one, least, least, Greed::kGreedy), std::move(tail));
}

// The body of a look-around as one assertion on the next (or last) character, if it is that.
inline std::optional<RegexNode> single_character_look(const RegexNode& body, bool is_ahead) {
  using Kind = RegexNode::Kind;
  const Kind kind = is_ahead ? Kind::kAhead : Kind::kBehind;
  switch (body.kind) {
    case Kind::kSet:
      return RegexNode{.kind = kind, .set = body.set};
    case Kind::kEmpty:
      return RegexNode{.kind = kind, .at_edge = true, .set = CodePointSet::all()};
    case Kind::kAhead:
    case Kind::kBehind:
      return body.kind == kind ? std::optional(body) : std::nullopt;
    case Kind::kRepeat:
      if (body.least == 0) return single_character_look({}, is_ahead);
      if (body.least > 1) return std::nullopt;
      return single_character_look(body.children[0], is_ahead);
    case Kind::kConcat:
      return std::nullopt;
    case Kind::kAlternate: {
      RegexNode result{.kind = kind};
      for (const RegexNode& child : body.children) {
        const std::optional<RegexNode> part = single_character_look(child, is_ahead);
        if (!part) return std::nullopt;
        result.set = result.set.united(part->set);
        result.at_edge = result.at_edge || part->at_edge;
      }
      return result;
    }
  }
  return std::nullopt;
}

}  // namespace llmcore::tokenizer
