// Distinct words as runs of tokens, with the counts of neighbouring pairs kept up to date.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace llmcore::tokenizer {

class WordPieceWords {
 public:
  struct Pair {
    std::uint64_t tokens = 0;  // left in the upper half
    std::int64_t count = 0;
    std::vector<std::uint32_t> found;  // words where it has appeared since the list was taken

    std::uint32_t left() const { return static_cast<std::uint32_t>(tokens >> 32); }
    std::uint32_t right() const { return static_cast<std::uint32_t>(tokens); }
  };

  explicit WordPieceWords(std::size_t max_token_length) : max_length_(max_token_length) {}

  // A word of tokens of one character each.
  void add(std::span<const std::uint32_t> tokens, std::int64_t count);
  // A word of tokens of any length; `lengths` in characters, by id.
  void add(std::span<const std::uint32_t> tokens, std::int64_t count,
           const std::vector<std::uint32_t>& lengths);
  // Counts the pairs of all words added; all of them are touched.
  void count_pairs();
  // Replaces (left, right) by `id` in `words`. A pair longer than the limit is not counted.
  void merge(std::uint32_t left, std::uint32_t right, std::uint32_t id,
             const std::vector<std::uint32_t>& words);

  std::vector<Pair>& pairs() { return pairs_; }
  const std::vector<Pair>& pairs() const { return pairs_; }
  // Indices of the pairs whose `found` grew; the caller empties both.
  std::vector<std::uint32_t>& touched() { return touched_; }
  std::int64_t token_count(std::uint32_t id) const {
    return id < token_counts_.size() ? token_counts_[id] : 0;
  }

 private:
  struct Symbol {
    std::uint32_t id;
    std::uint32_t length;  // in characters
  };
  struct Word {
    std::size_t begin;
    std::uint32_t size;
    std::int64_t count;
  };

  // As in `tokenizers`, a pair must stay below the limit, unless it is of two characters.
  bool is_allowed(Symbol left, Symbol right) const {
    const std::size_t length = std::size_t{left.length} + right.length;
    return length < max_length_ || length == 2;
  }
  void merge_word(std::uint32_t word, std::uint32_t left, std::uint32_t right, std::uint32_t id);
  void found(Symbol left, Symbol right, std::uint32_t word);
  void count_token(std::uint32_t id, std::int64_t count);
  std::uint32_t find_or_add(std::uint64_t tokens);
  std::size_t home(std::uint64_t tokens) const {
    const std::uint64_t h = (tokens ^ tokens >> 29) * 0x9E3779B97F4A7C15ull;
    return static_cast<std::size_t>(h >> (64 - std::countr_zero(slots_.size())));
  }

  std::size_t max_length_;
  std::vector<Symbol> symbols_;
  std::vector<Word> words_;
  std::vector<std::int64_t> token_counts_;  // by id
  std::vector<Pair> pairs_;
  std::vector<std::uint32_t> slots_ = std::vector<std::uint32_t>(1 << 12, 0);  // 1 + pair
  std::vector<std::uint32_t> touched_;
};

}  // namespace llmcore::tokenizer
