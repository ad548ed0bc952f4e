// Counts distinct pre-tokens. Memory grows with the number of distinct ones, not with the text.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "tokenizer/models/piece_key.h"
#include "tokenizer/parallel.h"

namespace llmcore::tokenizer {

struct WordCount {
  std::string_view bytes;
  std::int64_t count = 0;
};

// One thread's table. Pieces of up to 15 bytes live in the slot, longer ones in an arena.
class WordTable {
 public:
  WordTable();

  void count_text(const std::uint8_t* p, const std::uint8_t* end);
  void add(std::string_view bytes, std::int64_t count);
  std::size_t size() const { return num_short_ + num_long_; }

  // Calls visit(bytes, count) for every distinct piece; the bytes live only during the call.
  template <typename Visit>
  void for_each(Visit&& visit) const {
    for (const ShortSlot& s : short_) {
      if (s.count == 0) continue;
      char bytes[16];
      std::memcpy(bytes, &s.key.low, 8);
      std::memcpy(bytes + 8, &s.key.high, 8);
      visit(std::string_view(bytes, s.key.high >> 56), s.count);
    }
    for (const LongSlot& s : long_) {
      if (s.count != 0) visit(std::string_view(arena_.data() + s.begin, s.size), s.count);
    }
  }

 private:
  struct ShortSlot {
    PieceKey key;
    std::int64_t count = 0;
  };
  struct LongSlot {
    std::uint64_t hash = 0;
    std::size_t begin = 0;
    std::size_t size = 0;
    std::int64_t count = 0;
  };
  void add_short(const PieceKey& key, std::int64_t count);
  void add_long(std::string_view bytes, std::int64_t count);
  void grow_short();
  void grow_long();

  std::vector<ShortSlot> short_;
  std::vector<LongSlot> long_;
  std::vector<char> arena_;
  std::size_t num_short_ = 0, num_long_ = 0;
};

class WordCounter {
 public:
  explicit WordCounter(unsigned num_threads);

  // Adds the pre-tokens of every text; the sums do not depend on the number of threads.
  void count(const std::vector<std::span<const std::uint8_t>>& texts, const Tick& tick);
  // Adds a pre-token that was counted elsewhere.
  void add(std::string_view piece, std::int64_t count);
  // Folds the tables of all threads into one.
  const WordTable& merged();

 private:
  std::vector<WordTable> tables_;
};

}  // namespace llmcore::tokenizer
