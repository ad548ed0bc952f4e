// The next pair to merge, by either score of WordPiece.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "tokenizer/train/wordpiece_words.h"

namespace llmcore::tokenizer {

// A pair to merge, and the words to merge it in.
struct WordPieceMerge {
  std::uint32_t left = 0, right = 0;
  std::vector<std::uint32_t> words;
};

// Largest count first, then the smaller pair of ids. A pair found anew gets another entry for the
// words of that step, as in `tokenizers`, which merges it there only.
class CountQueue {
 public:
  CountQueue(WordPieceWords& words, std::int64_t min_count)
      : words_(words), min_count_(min_count) {}

  // Takes in what the last merge changed.
  void update(std::uint32_t left, std::uint32_t right, std::uint32_t id);
  std::optional<WordPieceMerge> next();

 private:
  struct Entry {
    std::int64_t count;
    std::uint64_t tokens;
    std::uint32_t pair, step;
    std::vector<std::uint32_t> words;

    bool operator<(const Entry& other) const {
      if (count != other.count) return count < other.count;
      return tokens != other.tokens ? tokens > other.tokens : step > other.step;
    }
  };
  void push(Entry&& entry);

  WordPieceWords& words_;
  std::int64_t min_count_;
  std::uint32_t step_ = 0;
  std::vector<Entry> heap_;
};

// Largest count(ab) / (count(a) count(b)) first, then the larger count, then the smaller pair of
// ids. A merge lowers count(a) and count(b) and so raises the score of all their other pairs:
// a heap that knows where each pair is.
class LikelihoodQueue {
 public:
  LikelihoodQueue(WordPieceWords& words, std::int64_t min_count)
      : words_(words), min_count_(min_count) {}

  void update(std::uint32_t left, std::uint32_t right, std::uint32_t id);
  std::optional<WordPieceMerge> next();

 private:
  static constexpr std::uint32_t kAbsent = ~0u;
  struct Item {
    double score = 0;
    std::int64_t count = 0;            // that the score is of
    std::uint32_t place = kAbsent;     // in the heap
    bool is_listed = false;            // in pairs_of_
    std::vector<std::uint32_t> words;  // where it may stand
  };

  void take_touched();
  void rescore_pairs_of(std::uint32_t token);
  void rescore(std::uint32_t pair);
  bool is_better(std::uint32_t a, std::uint32_t b) const;
  void put(std::size_t place, std::uint32_t pair);
  void sift_up(std::size_t place);
  void sift_down(std::size_t place);
  void remove(std::uint32_t pair);

  WordPieceWords& words_;
  std::int64_t min_count_;
  std::uint32_t merged_ = kAbsent;                    // the pair that next() gave
  std::vector<Item> items_;                           // by pair
  std::vector<std::vector<std::uint32_t>> pairs_of_;  // by token: pairs that hold it
  std::vector<std::uint32_t> heap_;
};

}  // namespace llmcore::tokenizer
