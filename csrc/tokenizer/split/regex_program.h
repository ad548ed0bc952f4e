// A pattern as a small machine over symbols: classes of code points that no part of the pattern
// tells apart.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "tokenizer/split/regex_syntax.h"

namespace llmcore::tokenizer {

using Symbol = std::uint16_t;

// Which symbol each code point is.
class SymbolTable {
 public:
  SymbolTable() = default;
  explicit SymbolTable(const std::vector<CodePointSet>& sets);

  Symbol ascii(std::uint8_t byte) const { return ascii_[byte]; }
  Symbol of(std::uint32_t c) const { return cells_[blocks_[c >> 8] * 256u + (c & 255)]; }
  std::size_t size() const { return members_.size(); }
  // Whether the characters of `symbol` are in the set of that number.
  bool in_set(Symbol symbol, std::size_t set) const {
    return (members_[symbol][set >> 6] >> (set & 63) & 1) != 0;
  }

 private:
  std::array<Symbol, 128> ascii_{};
  std::vector<std::uint16_t> blocks_;
  std::vector<Symbol> cells_;
  std::vector<std::vector<std::uint64_t>> members_;
};

struct RegexInstruction {
  enum class Op : std::uint8_t { kSet, kAhead, kBehind, kSplit, kMatch };
  Op op = Op::kMatch;
  bool at_edge = false;
  bool is_loop = false;           // kSplit: the preferred way comes back here
  std::uint32_t set = 0;          // number of its set
  std::uint32_t next = 0;         // kSplit: the preferred way
  std::uint32_t alternative = 0;  // kSplit: the other way
};

// The threads of a match in progress, best first: instructions that are due before the next symbol.
using Threads = std::vector<std::uint32_t>;

class RegexProgram {
 public:
  RegexProgram(std::string_view pattern, RegexFlavor flavor, std::string_view where);

  const SymbolTable& symbols() const { return symbols_; }
  std::size_t num_instructions() const { return code_.size(); }
  Threads start() const { return {start_}; }
  // Contexts are what kBehind can tell apart before a character; context 0: nothing before.
  std::size_t num_contexts() const { return contexts_.size(); }
  std::uint16_t context_after(Symbol symbol) const { return context_of_[symbol]; }
  Symbol end_symbol() const { return static_cast<Symbol>(symbols_.size()); }

  // What one step needs besides its arguments; one per thread.
  struct Scratch {
    std::vector<std::uint32_t> stack, seen, queued;
    std::uint32_t stamp = 0;
  };
  // Moves `threads`, which stand after `context`, over `next` (end_symbol() at the end of the text)
  // into `moved`. True if a match ends before `next`; threads worse than it are gone.
  bool step(const Threads& threads, std::uint16_t context, Symbol next, Threads& moved,
            Scratch& scratch) const;

 private:
  std::uint32_t compile(const RegexNode& node, std::uint32_t next);
  std::uint32_t compile_repeat(const RegexNode& node, std::uint32_t next);
  std::uint32_t add(RegexInstruction instruction);
  std::uint32_t set_number(const CodePointSet& set);
  void find_contexts();
  bool context_allows(const RegexInstruction& code, std::uint16_t context) const;

  std::vector<CodePointSet> sets_;
  std::vector<RegexInstruction> code_;
  std::uint32_t start_ = 0;
  SymbolTable symbols_;
  // A context is the sets of kBehind that hold the last character.
  std::vector<std::vector<bool>> contexts_;
  std::vector<std::uint16_t> context_of_;
  std::string where_;
};

}  // namespace llmcore::tokenizer
