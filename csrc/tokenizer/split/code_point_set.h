// Sets of Unicode code points as sorted ranges, for the classes of split patterns.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace llmcore::tokenizer {

inline constexpr std::uint32_t kMaxCodePoint = 0x10FFFF;

struct CodePointRange {
  std::uint32_t first = 0, last = 0;
  auto operator<=>(const CodePointRange&) const = default;
};

// Sorted, disjoint and not adjacent after normalize(), which every reader below expects.
class CodePointSet {
 public:
  CodePointSet() = default;
  explicit CodePointSet(std::vector<CodePointRange> ranges);
  static CodePointSet all() { return CodePointSet({{0, kMaxCodePoint}}); }

  CodePointSet united(const CodePointSet& other) const;
  CodePointSet intersected(const CodePointSet& other) const;
  CodePointSet complement() const;
  // With all characters whose simple case folding is that of a member. Unicode 16.0.
  CodePointSet case_closed() const;

  bool contains(std::uint32_t c) const;
  const std::vector<CodePointRange>& ranges() const { return ranges_; }
  auto operator<=>(const CodePointSet&) const = default;

 private:
  std::vector<CodePointRange> ranges_;
};

CodePointSet white_space_set();
// \w as Oniguruma (which adds the superscripts and fractions of Latin-1) or Rust's regex (which
// adds the two joiners) has it.
CodePointSet word_set(bool oniguruma);
// By a name such as Lu, L, Letter, White_Space, Any, Han or Script=Han; case, '_', '-' and spaces
// do not count. Nothing if the name is none of these.
std::optional<CodePointSet> property_set(std::string_view name);

}  // namespace llmcore::tokenizer
