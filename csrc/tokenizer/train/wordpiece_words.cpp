#include "tokenizer/train/wordpiece_words.h"

namespace llmcore::tokenizer {

void WordPieceWords::add(std::span<const std::uint32_t> tokens, std::int64_t count) {
  words_.push_back({symbols_.size(), static_cast<std::uint32_t>(tokens.size()), count});
  for (const std::uint32_t id : tokens) {
    symbols_.push_back({id, 1});
    count_token(id, count);
  }
}

void WordPieceWords::add(std::span<const std::uint32_t> tokens, std::int64_t count,
                         const std::vector<std::uint32_t>& lengths) {
  words_.push_back({symbols_.size(), static_cast<std::uint32_t>(tokens.size()), count});
  for (const std::uint32_t id : tokens) {
    symbols_.push_back({id, lengths[id]});
    count_token(id, count);
  }
}

void WordPieceWords::count_token(std::uint32_t id, std::int64_t count) {
  if (id >= token_counts_.size()) token_counts_.resize(id + std::size_t{1}, 0);
  token_counts_[id] += count;
}

void WordPieceWords::count_pairs() {
  for (std::uint32_t w = 0; w < words_.size(); ++w) {
    const Symbol* s = symbols_.data() + words_[w].begin;
    for (std::uint32_t i = 1; i < words_[w].size; ++i) {
      if (is_allowed(s[i - 1], s[i])) found(s[i - 1], s[i], w);
    }
  }
}

std::uint32_t WordPieceWords::find_or_add(std::uint64_t tokens) {
  if ((pairs_.size() + 1) * 2 > slots_.size()) {
    slots_.assign(slots_.size() * 2, 0);
    for (std::uint32_t n = 0; n < pairs_.size(); ++n) {
      std::size_t i = home(pairs_[n].tokens);
      while (slots_[i] != 0) i = (i + 1) & (slots_.size() - 1);
      slots_[i] = n + 1;
    }
  }
  std::size_t i = home(tokens);
  for (; slots_[i] != 0; i = (i + 1) & (slots_.size() - 1)) {
    if (pairs_[slots_[i] - 1].tokens == tokens) return slots_[i] - 1;
  }
  pairs_.push_back({tokens, 0, {}});
  slots_[i] = static_cast<std::uint32_t>(pairs_.size());
  return slots_[i] - 1;
}

void WordPieceWords::found(Symbol left, Symbol right, std::uint32_t word) {
  const std::uint32_t index = find_or_add(std::uint64_t{left.id} << 32 | right.id);
  Pair& pair = pairs_[index];
  pair.count += words_[word].count;
  if (pair.found.empty()) touched_.push_back(index);
  if (pair.found.empty() || pair.found.back() != word) pair.found.push_back(word);
}

void WordPieceWords::merge(std::uint32_t left, std::uint32_t right, std::uint32_t id,
                           const std::vector<std::uint32_t>& words) {
  for (const std::uint32_t word : words) merge_word(word, left, right, id);
}

void WordPieceWords::merge_word(std::uint32_t word, std::uint32_t left, std::uint32_t right,
                                std::uint32_t id) {
  Symbol* s = symbols_.data() + words_[word].begin;
  const std::uint32_t size = words_[word].size;
  const std::int64_t count = words_[word].count;
  const auto lost = [&](std::uint32_t a, std::uint32_t b) {
    pairs_[find_or_add(std::uint64_t{a} << 32 | b)].count -= count;
  };
  const auto gained = [&](Symbol a, Symbol b) {
    if (is_allowed(a, b)) found(a, b, word);
  };
  std::uint32_t out = 0;
  for (std::uint32_t i = 0; i < size;) {
    if (s[i].id != left || i + 1 == size || s[i + 1].id != right) {
      s[out++] = s[i++];
      continue;
    }
    const Symbol merged{id, s[i].length + s[i + 1].length};
    if (out > 0) {
      lost(s[out - 1].id, left);
      gained(s[out - 1], merged);
    }
    if (i + 2 < size) {
      lost(right, s[i + 2].id);
      gained(merged, s[i + 2]);
    }
    count_token(left, -count);
    count_token(right, -count);
    count_token(id, count);
    s[out++] = merged;
    i += 2;
  }
  words_[word].size = out;
}

}  // namespace llmcore::tokenizer
