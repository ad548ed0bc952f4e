#include "tokenizer/train/bpe_rows.h"

#include <algorithm>
#include <string>

#include "tokenizer/errors.h"

namespace llmcore::tokenizer {

SymbolRows::SymbolRows(const WordTable& words, const SpellWord& spell) {
  std::size_t num_cells = 1;
  words.for_each([&](std::string_view bytes, std::int64_t) { num_cells += bytes.size() + 1; });
  if (num_cells >= kInside) {
    throw DataError("train: the distinct words must hold fewer than 2 GiB, got " +
                    std::to_string(num_cells) + " bytes");
  }
  cells_.reserve(num_cells);
  cells_.push_back(kBreak);
  words.for_each_by_count(
      [&](std::string_view bytes, std::int64_t count) { add_word(bytes, count, spell); });
  index_runs();
}

void SymbolRows::add_word(std::string_view bytes, std::int64_t count, const SpellWord& spell) {
  word_.clear();
  spell(bytes, word_);
  if (word_.size() < 2) return;
  // Pair counts are sums over all words: none may wrap.
  std::int64_t weight = 0;
  if (__builtin_mul_overflow(count, static_cast<std::int64_t>(word_.size()), &weight) ||
      __builtin_add_overflow(total_, weight, &total_)) {
    throw DataError("train: the text must hold fewer than 2^63 symbols, got more");
  }
  const auto is_break = [](std::uint32_t symbol) { return symbol == kBreak; };
  for (auto from = word_.begin(); from != word_.end();) {
    const auto to = std::find_if(from, word_.end(), is_break);
    if (to - from > 1) add_row({from, to}, count);
    from = to == word_.end() ? to : to + 1;
  }
}

void SymbolRows::add_row(std::span<const std::uint32_t> symbols, std::int64_t count) {
  const auto begin = static_cast<std::uint32_t>(cells_.size());
  if (runs_.empty() || runs_.back().count != count) runs_.push_back({begin, count});
  begins_.push_back(begin);
  cells_.insert(cells_.end(), symbols.begin(), symbols.end());
  cells_.push_back(kBreak);
}

void SymbolRows::index_runs() {
  run_of_block_.resize((cells_.size() >> kBlockBits) + 2);
  std::uint32_t run = 0;
  for (std::size_t block = 0; block < run_of_block_.size(); ++block) {
    while (run + 1 < runs_.size() && runs_[run + 1].begin <= block << kBlockBits) ++run;
    run_of_block_[block] = run;
  }
}

std::int64_t SymbolRows::count(std::uint32_t p) const {
  const std::uint32_t block = p >> kBlockBits;
  const auto first = runs_.begin() + run_of_block_[block];
  const auto last = runs_.begin() + run_of_block_[block + 1] + 1;
  if (last - first == 1) return first->count;
  return (std::upper_bound(first, last, p,
                           [](std::uint32_t at, const Run& run) { return at < run.begin; }) -
          1)
      ->count;
}

std::uint32_t SymbolRows::word_begin(std::uint32_t p) const {
  return *(std::upper_bound(begins_.begin(), begins_.end(), p) - 1);
}

}  // namespace llmcore::tokenizer
