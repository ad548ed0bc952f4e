#include "tokenizer/pipeline/added_tokens.h"

#include <algorithm>

#include "tokenizer/errors.h"
#include "tokenizer/pipeline/word_edges.h"

namespace llmcore::tokenizer {

AddedTokens::AddedTokens(const std::vector<AddedTokenSpec>& tokens,
                         const std::vector<std::string>& contents)
    : tokens_(tokens), nodes_(1), roots_(256, 0) {
  for (std::uint32_t i = 0; i < tokens.size(); ++i) {
    if (contents[i].size() > kMaxBytes) {
      throw DataError("tokenizer: an added token must have at most " + std::to_string(kMaxBytes) +
                      " bytes, got " + std::to_string(contents[i].size()) + " for id " +
                      std::to_string(tokens[i].id));
    }
    if (!contents[i].empty()) add(contents[i], i);
  }
}

void AddedTokens::add(const std::string& content, std::uint32_t token) {
  std::uint32_t node = 0;
  for (const char c : content) {
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
  nodes_[node].token = token + 1;
}

std::uint32_t AddedTokens::child(std::uint32_t node, std::uint8_t byte) const {
  if (node == 0) return roots_[byte];
  std::uint32_t found = nodes_[node].first_child;
  while (found != 0 && nodes_[found].byte != byte) found = nodes_[found].sibling;
  return found;
}

std::uint32_t AddedTokens::longest_at(Text text, std::size_t at, const std::vector<char>& enabled,
                                      const IsGuarded& is_guarded, std::size_t& end) const {
  std::uint32_t node = roots_[text[at]], token = 0;
  for (std::size_t q = at + 1; node != 0; ++q) {
    const std::uint32_t here = nodes_[node].token;
    if (here != 0 && enabled[here - 1] &&
        !(is_guarded && tokens_[here - 1].special && is_guarded(at, q))) {
      token = here;
      end = q;
    }
    node = q < text.size() ? child(node, text[q]) : 0;
  }
  return token;
}

void AddedTokens::add_span(Text text, std::uint32_t token, std::size_t begin, std::size_t end,
                           std::size_t& pending, std::vector<AddedSpan>& spans) const {
  const AddedTokenSpec& spec = tokens_[token - 1];
  if (spec.single_word &&
      (ends_with_word(text.first(begin)) || starts_with_word(text.subspan(end)))) {
    return;
  }
  // White space that the token before has taken is its own.
  if (spec.lstrip) begin = std::max(begin - trailing_space(text.first(begin)), pending);
  if (spec.rstrip) end += leading_space(text.subspan(end));
  if (pending < begin) spans.push_back({pending, begin, false, 0});
  spans.push_back({std::min(begin, end), end, true, spec.id});
  pending = end;
}

void AddedTokens::split(Text text, const std::vector<char>& enabled, std::vector<AddedSpan>& spans,
                        const IsGuarded& is_guarded) const {
  std::size_t pending = 0, at = 0;
  while (at < text.size()) {
    std::size_t end = at;
    const std::uint32_t token =
        roots_[text[at]] == 0 ? 0 : longest_at(text, at, enabled, is_guarded, end);
    if (token == 0) {
      ++at;
      continue;
    }
    add_span(text, token, at, end, pending, spans);
    at = end;
  }
  if (pending < text.size()) spans.push_back({pending, text.size(), false, 0});
}

}  // namespace llmcore::tokenizer
