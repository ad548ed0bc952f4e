// The distinct words of a training text as rows of symbols that merge in place: four bytes a
// symbol, whatever it grows to, and no count beside a word.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string_view>
#include <vector>

#include "tokenizer/train/word_counter.h"

namespace llmcore::tokenizer {

// Between two words, and where a word holds what the vocabulary cannot spell.
inline constexpr std::uint32_t kBreak = ~0u;

// Appends the symbols of one word, with kBreak where no merge may pass.
using SpellWord = std::function<void(std::string_view, std::vector<std::uint32_t>&)>;

// A symbol of n cells: its first cell holds its id; for n > 1 its second and its last hold n.
class SymbolRows {
 public:
  // Words in the order of falling counts, so that a cell's place tells the count.
  SymbolRows(const WordTable& words, const SpellWord& spell);

  std::uint32_t size() const { return static_cast<std::uint32_t>(cells_.size()); }
  // Id of the symbol that begins at p, kBreak, or something else where none begins.
  std::uint32_t operator[](std::uint32_t p) const { return cells_[p]; }
  void prefetch(std::uint32_t p) const { __builtin_prefetch(&cells_[p], 1); }
  // Where the symbol at p ends: the next symbol or a kBreak.
  std::uint32_t next(std::uint32_t p) const {
    const std::uint32_t after = cells_[p + 1];
    return p + (after < kInside || after == kBreak ? 1 : after - kInside);
  }
  // Where the symbol before p begins; cell p - 1 is no kBreak.
  std::uint32_t previous(std::uint32_t p) const {
    const std::uint32_t before = cells_[p - 1];
    return p - (before < kInside ? 1 : before - kInside);
  }
  bool is_first(std::uint32_t p) const { return cells_[p - 1] == kBreak; }
  // Makes [p, end) one symbol; a symbol began at q, between them.
  void merge(std::uint32_t p, std::uint32_t q, std::uint32_t end, std::uint32_t id) {
    cells_[p] = id;
    cells_[q] = kInside;
    cells_[p + 1] = cells_[end - 1] = kInside + (end - p);
  }
  // How often the text holds the word at p.
  std::int64_t count(std::uint32_t p) const;
  // Where the row of the symbol at p begins.
  std::uint32_t word_begin(std::uint32_t p) const;

 private:
  static constexpr std::uint32_t kInside = 1u << 31;  // ids are below; a length is added
  static constexpr unsigned kBlockBits = 10;

  // Words of equal count from cell `begin` on.
  struct Run {
    std::uint32_t begin;
    std::int64_t count;
  };
  void add_word(std::string_view bytes, std::int64_t count, const SpellWord& spell);
  void add_row(std::span<const std::uint32_t> symbols, std::int64_t count);
  void index_runs();

  std::vector<std::uint32_t> cells_;
  std::vector<std::uint32_t> begins_;
  std::vector<Run> runs_;
  std::vector<std::uint32_t> run_of_block_;  // the last run that begins at or before it
  std::vector<std::uint32_t> word_;
  std::int64_t total_ = 0;
};

}  // namespace llmcore::tokenizer
