// A backtracking matcher over the pattern's tree, slow and plain: what the regex engine must equal.
#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "tokenizer/split/regex.h"
#include "tokenizer/text/utf8.h"

namespace llmcore::fuzz {

class RegexReference {
 public:
  RegexReference(const tokenizer::RegexNode& tree, tokenizer::Text text)
      : tree_(tree), text_(text) {}

  // As Regex::find_all; nothing if that takes too many steps.
  std::optional<std::vector<tokenizer::Match>> find_all() {
    std::vector<tokenizer::Match> matches;
    std::size_t last_end = text_.size() + 1;
    for (std::size_t at = 0; at <= text_.size();) {
      end_.reset();
      match(tree_, at, [this](std::size_t end) {
        end_ = end;
        return true;
      });
      if (num_steps_ > kMaxSteps) return std::nullopt;
      const bool is_empty = end_ && *end_ == at;
      if (end_ && !(is_empty && at == last_end)) {
        matches.push_back({at, *end_});
        last_end = *end_;
      }
      if (end_ && !is_empty) {
        at = *end_;
      } else if (at < text_.size()) {
        at = char_end(at);
      } else {
        break;
      }
    }
    return matches;
  }

 private:
  using Node = tokenizer::RegexNode;
  using Kind = Node::Kind;
  // What must match after a node; true ends the search.
  using Then = std::function<bool(std::size_t)>;
  static constexpr std::size_t kMaxSteps = 100'000;

  std::size_t char_end(std::size_t at) const {
    const std::uint8_t* p = text_.data() + at;
    tokenizer::next_char(p, text_.data() + text_.size());
    return static_cast<std::size_t>(p - text_.data());
  }
  bool holds(const Node& node, std::size_t at) const {
    const std::uint8_t* p = text_.data() + at;
    return node.set.contains(tokenizer::next_char(p, text_.data() + text_.size()));
  }
  std::size_t char_begin(std::size_t end) const {
    std::size_t at = 0;
    while (char_end(at) < end) at = char_end(at);
    return at;
  }

  bool match(const Node& node, std::size_t at, const Then& then) {
    if (++num_steps_ > kMaxSteps) return true;
    switch (node.kind) {
      case Kind::kEmpty:
        return then(at);
      case Kind::kSet:
        return at < text_.size() && holds(node, at) && then(char_end(at));
      case Kind::kAhead:
        return (at < text_.size() ? holds(node, at) : node.at_edge) && then(at);
      case Kind::kBehind:
        return (at > 0 ? holds(node, char_begin(at)) : node.at_edge) && then(at);
      case Kind::kConcat:
        return match_children(node, 0, at, then);
      case Kind::kAlternate:
        for (const Node& child : node.children) {
          if (match(child, at, then)) return true;
        }
        return false;
      case Kind::kRepeat:
        return match_repeat(node, 0, at, then);
    }
    return false;
  }
  bool match_children(const Node& node, std::size_t i, std::size_t at, const Then& then) {
    if (i == node.children.size()) return then(at);
    return match(node.children[i], at,
                 [&, i](std::size_t end) { return match_children(node, i + 1, end, then); });
  }
  bool match_repeat(const Node& node, int count, std::size_t at, const Then& then) {
    if (++num_steps_ > kMaxSteps) return true;
    const auto once_more = [&] {
      if (node.most != tokenizer::kUnlimited && count >= node.most) return false;
      return match(node.children[0], at, [&](std::size_t end) {
        // Nothing is gained by going round on the spot: on with what follows.
        const bool is_idle = end == at && count >= node.least && node.most == tokenizer::kUnlimited;
        return is_idle ? then(end) : match_repeat(node, count + 1, end, then);
      });
    };
    if (count < node.least) return once_more();
    if (node.greed == tokenizer::Greed::kLazy) return then(at) || once_more();
    return once_more() || then(at);
  }

  const Node& tree_;
  tokenizer::Text text_;
  std::optional<std::size_t> end_;
  std::size_t num_steps_ = 0;
};

}  // namespace llmcore::fuzz
