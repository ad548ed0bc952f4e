// Counts distinct pre-tokens. Memory grows with the number of distinct ones, not with the text.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include "tokenizer/models/piece_key.h"
#include "tokenizer/parallel.h"
#include "tokenizer/text/aligned_text.h"

namespace llmcore::tokenizer {

class PieceCutter;

// One thread's table. Pieces of up to 15 bytes live in the slot, longer ones in an arena.
class WordTable {
 public:
  WordTable();

  // `readable_end` bounds the bytes behind the piece that may be read.
  void count(const std::uint8_t* p, const std::uint8_t* end, const std::uint8_t* readable_end) {
    const auto size = static_cast<std::size_t>(end - p);
    if (size <= kMaxKeyPiece) {
      add_short(make_piece_key(p, size, readable_end), 1);
    } else {
      add_long({reinterpret_cast<const char*>(p), size}, 1);
    }
  }
  // `bytes` is not empty. Throws DataError where the sum passes 2^63.
  void add(std::string_view bytes, std::int64_t count);
  std::size_t size() const { return num_short_ + num_long_; }

  // Calls visit(bytes, count) for every distinct piece; the bytes live as long as the table stays
  // as it is.
  template <typename Visit>
  void for_each(Visit&& visit) const {
    for (const ShortSlot& s : short_) {
      if (s.count != 0) visit(bytes_of(s), s.count);
    }
    for (const LongSlot& s : long_) {
      if (s.count != 0) visit(bytes_of(s), s.count);
    }
  }
  // The same by falling count; equal counts in any order.
  template <typename Visit>
  void for_each_by_count(Visit&& visit) const {
    std::vector<std::pair<std::int64_t, std::uint32_t>> order;  // the slot, long ones behind
    order.reserve(size());
    for (std::size_t i = 0; i < short_.size(); ++i) {
      if (short_[i].count != 0) order.emplace_back(short_[i].count, i);
    }
    for (std::size_t i = 0; i < long_.size(); ++i) {
      if (long_[i].count != 0) order.emplace_back(long_[i].count, short_.size() + i);
    }
    std::sort(order.begin(), order.end(),
              [](const auto& a, const auto& b) { return a.first > b.first; });
    for (const auto& [count, slot] : order) {
      visit(slot < short_.size() ? bytes_of(short_[slot]) : bytes_of(long_[slot - short_.size()]),
            count);
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
  static std::string_view bytes_of(const ShortSlot& slot) {
    return {reinterpret_cast<const char*>(&slot.key), slot.key.high >> 56};
  }
  std::string_view bytes_of(const LongSlot& slot) const {
    return {arena_.data() + slot.begin, slot.size};
  }
  void add_short(const PieceKey& key, std::int64_t count) {
    const std::size_t mask = short_.size() - 1;
    std::size_t i = key.hash() & mask;
    while (short_[i].count != 0 && !(short_[i].key == key)) i = (i + 1) & mask;
    ShortSlot& slot = short_[i];
    if (slot.count == 0) return add_new(slot, key, count);
    slot.count = sum(slot.count, count);
  }
  static std::int64_t sum(std::int64_t a, std::int64_t b);
  void add_new(ShortSlot& slot, const PieceKey& key, std::int64_t count);
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
  // Counts the pieces that `cutter` makes of texts; by default GPT-2's.
  explicit WordCounter(unsigned num_threads, std::shared_ptr<const PieceCutter> cutter = nullptr);

  const PieceCutter& cutter() const { return *cutter_; }
  // Adds the pre-tokens of every text; the sums do not depend on the number of threads.
  void count(const std::vector<Text>& texts, const Tick& tick);
  // Adds a pre-token that was counted elsewhere.
  void add(std::string_view piece, std::int64_t count);
  void add(WordCounter& other);
  // Folds the tables of all threads into one.
  const WordTable& merged();
  // The same, given away: none are counted any more.
  WordTable take();

 private:
  std::shared_ptr<const PieceCutter> cutter_;
  std::vector<WordTable> tables_;
};

}  // namespace llmcore::tokenizer
