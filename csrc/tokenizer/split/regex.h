// Any split pattern, in time linear in the text: leftmost matches, of several at one place the one
// that a backtracking engine finds first.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "tokenizer/split/regex_program.h"
#include "tokenizer/text/aligned_text.h"

namespace llmcore::tokenizer {

struct Match {
  std::size_t begin = 0, end = 0;
  bool operator==(const Match&) const = default;
};

// Const and shared by threads. The deterministic machine is built up front where it is small;
// otherwise the threads of the program are moved one by one.
class Regex {
 public:
  // Throws DataError that names `where` and what is wrong or unsupported: back-references,
  // recursion, look-around of more than a character, possessive quantifiers on more than a
  // character.
  Regex(std::string_view pattern, RegexFlavor flavor, std::string_view where);

  // All matches, in order, as the `onig` and `regex` crates list them: an empty one is left out
  // right after another match. Appends to `matches`.
  void find_all(Text text, std::vector<Match>& matches) const;
  bool has_table() const { return !table_.empty(); }

 private:
  friend class RegexSearch;
  static constexpr std::uint32_t kDead = 0;
  void build_table();
  std::uint32_t start_state(std::uint16_t context) const { return start_states_[context]; }

  RegexProgram program_;
  // State * (symbols + 1) + symbol -> next state << 1 | a match ends before the symbol.
  std::vector<std::uint32_t> table_;
  std::vector<Threads> threads_of_;  // by state
  std::vector<std::uint32_t> start_states_;
};

}  // namespace llmcore::tokenizer
