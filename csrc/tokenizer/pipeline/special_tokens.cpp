#include "tokenizer/pipeline/special_tokens.h"

namespace llmcore::tokenizer {

AddedTokenMatcher::AddedTokenMatcher(const std::vector<AddedToken>& tokens, bool normalized)
    : nodes_(1), roots_(256, 0) {
  for (std::uint32_t t = 0; t < tokens.size(); ++t) {
    ids_.push_back(tokens[t].id);
    if (tokens[t].normalized != normalized) continue;
    std::uint32_t node = 0;
    for (const char c : tokens[t].content) {
      const auto byte = static_cast<std::uint8_t>(c);
      std::uint32_t found = child(node, byte);
      if (found == 0) {
        found = static_cast<std::uint32_t>(nodes_.size());
        nodes_.push_back({0, nodes_[node].first_child, 0, byte});
        nodes_[node].first_child = found;
        if (node == 0) roots_[byte] = found;
      }
      node = found;
    }
    nodes_[node].token = t + 1;
  }
}

std::uint32_t AddedTokenMatcher::child(std::uint32_t node, std::uint8_t byte) const {
  if (node == 0) return roots_[byte];
  std::uint32_t found = nodes_[node].first_child;
  while (found != 0 && nodes_[found].byte != byte) found = nodes_[found].sibling;
  return found;
}

void AddedTokenMatcher::split(const std::uint8_t* begin, const std::uint8_t* end,
                              const std::vector<char>& enabled,
                              std::vector<Segment>& segments) const {
  const std::uint8_t* pending = begin;
  const std::uint8_t* p = begin;
  while (p < end) {
    std::uint32_t node = roots_[*p];
    if (node == 0) {
      ++p;
      continue;
    }
    std::uint32_t token = 0;
    const std::uint8_t* token_end = p;
    for (const std::uint8_t* q = p + 1;; ++q) {
      const std::uint32_t ends_here = nodes_[node].token;
      if (ends_here != 0 && enabled[ends_here - 1]) {
        token = ends_here;
        token_end = q;
      }
      if (q == end || (node = child(node, *q)) == 0) break;
    }
    if (token == 0) {
      ++p;
      continue;
    }
    if (pending < p) segments.push_back({pending, p, false, 0});
    segments.push_back({p, token_end, true, ids_[token - 1]});
    p = pending = token_end;
  }
  if (pending < end) segments.push_back({pending, end, false, 0});
}

}  // namespace llmcore::tokenizer
