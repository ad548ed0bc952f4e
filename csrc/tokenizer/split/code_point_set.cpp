#include "tokenizer/split/code_point_set.h"

#include <algorithm>
#include <array>
#include <string>
#include <utility>

#include "tokenizer/split/casefold_tables.h"
#include "tokenizer/split/char_traits.h"
#include "tokenizer/split/script.h"

namespace llmcore::tokenizer {
namespace {

constexpr std::array<std::pair<std::string_view, std::string_view>, kNumCategories> kCategoryNames{{
    {"lu", "uppercaseletter"},    {"ll", "lowercaseletter"},  {"lt", "titlecaseletter"},
    {"lm", "modifierletter"},     {"lo", "otherletter"},      {"mn", "nonspacingmark"},
    {"mc", "spacingmark"},        {"me", "enclosingmark"},    {"nd", "decimalnumber"},
    {"nl", "letternumber"},       {"no", "othernumber"},      {"pc", "connectorpunctuation"},
    {"pd", "dashpunctuation"},    {"ps", "openpunctuation"},  {"pe", "closepunctuation"},
    {"pi", "initialpunctuation"}, {"pf", "finalpunctuation"}, {"po", "otherpunctuation"},
    {"sm", "mathsymbol"},         {"sc", "currencysymbol"},   {"sk", "modifiersymbol"},
    {"so", "othersymbol"},        {"zs", "spaceseparator"},   {"zl", "lineseparator"},
    {"zp", "paragraphseparator"}, {"cc", "control"},          {"cf", "format"},
    {"cs", "surrogate"},          {"co", "privateuse"},       {"cn", "unassigned"},
}};

constexpr std::array<std::pair<std::string_view, char>, 7> kMajorNames{{
    {"letter", 'l'},
    {"mark", 'm'},
    {"number", 'n'},
    {"punctuation", 'p'},
    {"symbol", 's'},
    {"separator", 'z'},
    {"other", 'c'},
}};

template <class Wanted>
CodePointSet set_where(Wanted&& wanted) {
  std::vector<CodePointRange> ranges;
  bool inside = false;
  for (std::uint32_t c = 0; c <= kMaxCodePoint; ++c) {
    const bool in = wanted(c);
    if (in && !inside) ranges.push_back({c, c});
    if (in) ranges.back().last = c;
    inside = in;
  }
  return CodePointSet(std::move(ranges));
}

CodePointSet set_of_categories(std::uint32_t bits) {
  return set_where(
      [bits](std::uint32_t c) { return (bits >> static_cast<unsigned>(category_of(c)) & 1) != 0; });
}

std::string loose_name(std::string_view name) {
  std::string result;
  for (const char c : name) {
    if (c == '_' || c == '-' || c == ' ') continue;
    result += c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  }
  return result;
}

// Bits of the categories that a one- or two-letter or long name stands for; 0 for none.
std::uint32_t category_bits(std::string_view name) {
  char major = name.size() == 1 ? name[0] : '\0';
  for (const auto& [long_name, letter] : kMajorNames) {
    if (name == long_name) major = letter;
  }
  std::uint32_t bits = 0;
  for (std::size_t i = 0; i < kCategoryNames.size(); ++i) {
    const auto& [short_name, long_name] = kCategoryNames[i];
    const bool in = name == short_name || name == long_name || short_name[0] == major;
    if (in) bits |= std::uint32_t{1} << i;
  }
  return bits;
}

}  // namespace

CodePointSet::CodePointSet(std::vector<CodePointRange> ranges) : ranges_(std::move(ranges)) {
  std::ranges::sort(ranges_);
  std::size_t size = 0;
  for (const CodePointRange range : ranges_) {
    if (size > 0 && range.first <= ranges_[size - 1].last + 1) {
      ranges_[size - 1].last = std::max(ranges_[size - 1].last, range.last);
    } else {
      ranges_[size++] = range;
    }
  }
  ranges_.resize(size);
}

CodePointSet CodePointSet::united(const CodePointSet& other) const {
  std::vector<CodePointRange> ranges = ranges_;
  ranges.insert(ranges.end(), other.ranges_.begin(), other.ranges_.end());
  return CodePointSet(std::move(ranges));
}

CodePointSet CodePointSet::complement() const {
  std::vector<CodePointRange> ranges;
  std::uint32_t next = 0;
  for (const CodePointRange range : ranges_) {
    if (range.first > next) ranges.push_back({next, range.first - 1});
    next = range.last + 1;
  }
  if (next <= kMaxCodePoint) ranges.push_back({next, kMaxCodePoint});
  return CodePointSet(std::move(ranges));
}

CodePointSet CodePointSet::intersected(const CodePointSet& other) const {
  return complement().united(other.complement()).complement();
}

bool CodePointSet::contains(std::uint32_t c) const {
  const auto after = std::ranges::upper_bound(ranges_, c, {}, &CodePointRange::first);
  return after != ranges_.begin() && std::prev(after)->last >= c;
}

CodePointSet CodePointSet::case_closed() const {
  std::vector<CodePointRange> foldings = ranges_;
  const auto each_pair = [](auto&& visit) {
    for (const CaseFoldRun& run : kCaseFoldRuns) {
      for (std::uint32_t c = run.first; c <= run.last; c += run.step) {
        visit(c, c - run.first + run.folded);
      }
    }
  };
  each_pair([&](std::uint32_t c, std::uint32_t folded) {
    if (contains(c)) foldings.push_back({folded, folded});
  });
  const CodePointSet folded_set(std::move(foldings));
  std::vector<CodePointRange> ranges = folded_set.ranges_;
  each_pair([&](std::uint32_t c, std::uint32_t folded) {
    if (folded_set.contains(folded)) ranges.push_back({c, c});
  });
  return CodePointSet(std::move(ranges));
}

CodePointSet white_space_set() {
  return set_where([](std::uint32_t c) { return (traits_of(c) & kIsSpace) != 0; });
}

CodePointSet word_set(bool oniguruma) {
  // \p{Alphabetic} beyond letters, marks and letter numbers: the circled and squared letters.
  std::vector<CodePointRange> extra{
      {0x24B6, 0x24E9}, {0x1F130, 0x1F149}, {0x1F150, 0x1F169}, {0x1F170, 0x1F189}};
  if (oniguruma) {
    extra.insert(extra.end(), {{0xB2, 0xB3}, {0xB9, 0xB9}, {0xBC, 0xBE}});
  } else {
    extra.push_back({0x200C, 0x200D});
  }
  const std::uint32_t bits = category_bits("l") | category_bits("m") | category_bits("nd") |
                             category_bits("nl") | category_bits("pc");
  return set_of_categories(bits).united(CodePointSet(std::move(extra)));
}

std::optional<CodePointSet> property_set(std::string_view name) {
  std::string loose = loose_name(name);
  for (const std::string_view prefix : {"generalcategory=", "gc=", "script=", "sc="}) {
    if (loose.starts_with(prefix)) loose.erase(0, prefix.size());
  }
  if (loose == "any") return CodePointSet::all();
  if (loose == "assigned") return set_of_categories(category_bits("cn")).complement();
  if (loose == "ascii") return CodePointSet({{0, 0x7F}});
  if (loose == "whitespace" || loose == "space") return white_space_set();
  if (const std::uint32_t bits = category_bits(loose); bits != 0) return set_of_categories(bits);
  if (const std::optional<Script> script = find_script(loose)) {
    std::vector<CodePointRange> ranges;
    for (const ScriptRange& range : kScriptRanges) {
      if (range.script == *script) ranges.push_back({range.first, range.last});
    }
    return CodePointSet(std::move(ranges));
  }
  return std::nullopt;
}

}  // namespace llmcore::tokenizer
