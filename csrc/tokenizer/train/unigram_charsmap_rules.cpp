#include <algorithm>
#include <set>
#include <unordered_map>
#include <vector>

#include "tokenizer/errors.h"
#include "tokenizer/normalize/normal_form.h"
#include "tokenizer/train/unigram_charsmap.h"

namespace llmcore::tokenizer {
namespace {

class Form32 {
 public:
  explicit Form32(bool composes) : normalizer_({.compatible = true, .composes = composes}) {}

  std::u32string of(std::u32string_view text) {
    normalizer_.clear();
    for (const char32_t c : text) normalizer_.add(c, {});
    std::u32string out;
    for (const AlignedChar& c : normalizer_.finish()) out += static_cast<char32_t>(c.c);
    return out;
  }

 private:
  SegmentNormalizer normalizer_;
};

// Every spelling of decomposed text by characters that decompose to one of its own.
using Spellings = std::unordered_map<char32_t, std::u32string>;

void add_spellings(const std::u32string& text, const Spellings& spellings,
                   const std::u32string& normalized, CharsmapRules& rules) {
  std::vector<std::u32string> found{{}};
  for (const char32_t c : text) {
    std::vector<std::u32string> longer;
    for (const std::u32string& begin : found) {
      for (const char32_t other : spellings.at(c)) longer.push_back(begin + other);
    }
    found = std::move(longer);
  }
  for (std::u32string& spelling : found) {
    if (spelling != normalized) rules[std::move(spelling)] = normalized;
  }
}

// What rules of at most `longest` characters make of a text, the longest first.
std::u32string apply(const std::unordered_map<std::u32string, std::u32string>& rules,
                     const std::u32string& text, std::size_t longest) {
  std::u32string out;
  for (std::size_t i = 0; i < text.size();) {
    std::size_t length = std::min(longest, text.size() - i);
    auto rule = rules.end();
    for (; length > 0; --length) {
      rule = rules.find(text.substr(i, length));
      if (rule != rules.end()) break;
    }
    out += length > 0 ? rule->second : text.substr(i, 1);
    i += std::max<std::size_t>(length, 1);
  }
  return out;
}

// Leaves out what shorter rules do already.
CharsmapRules without_redundant(const CharsmapRules& rules) {
  std::vector<std::vector<const CharsmapRules::value_type*>> by_length;
  for (const auto& rule : rules) {
    by_length.resize(std::max(by_length.size(), rule.first.size() + 1));
    by_length[rule.first.size()].push_back(&rule);
  }
  std::unordered_map<std::u32string, std::u32string> kept;
  for (std::size_t length = 1; length < by_length.size(); ++length) {
    for (const auto* rule : by_length[length]) {
      if (length == 1 || apply(kept, rule->first, length - 1) != rule->second) kept.insert(*rule);
    }
  }
  return {kept.begin(), kept.end()};
}

// Rules for single characters, and for sequences that compose.
CharsmapRules nfkc_rules() {
  Form32 composed(true), decomposed(false);
  CharsmapRules rules;
  Spellings spellings;
  std::set<std::u32string> sequences;
  for (char32_t c = 1; c <= 0x10FFFF; ++c) {
    if (c >= 0xD800 && c <= 0xDFFF) continue;
    if ((char_record(static_cast<std::uint32_t>(c)).flags & (kNfkdUnsafe | kNfkcUnsafe)) == 0) {
      spellings[c] += c;
      continue;
    }
    const std::u32string text(1, c), parts = decomposed.of(text);
    std::u32string whole = composed.of(text);
    if (whole != text) rules[text] = std::move(whole);
    if (parts.size() == 1) {
      spellings[parts[0]] += c;
    } else {
      sequences.insert(parts);
    }
  }
  for (const std::u32string& parts : sequences) {
    const std::u32string whole = composed.of(parts);
    if (whole != parts) add_spellings(parts, spellings, whole, rules);
  }
  return rules;
}

// What sentencepiece adds for machine translation.
void add_nmt_rules(CharsmapRules& rules) {
  for (const char32_t c : {0x09, 0x0A, 0x0C, 0x0D, 0x61C, 0x1680, 0x200B, 0x200C, 0x200E, 0x200F,
                           0x2028, 0x2029, 0x2581, 0xFEFF, 0xFFFD}) {
    rules.insert_or_assign(std::u32string(1, c), std::u32string(1, U' '));
  }
  for (char32_t c = 1; c < 0x20; ++c) rules.try_emplace(std::u32string(1, c));
  for (const char32_t c : {0x7F, 0x8F, 0x9F}) rules[std::u32string(1, c)].clear();
  // The full-width tilde is no tilde in Japanese.
  rules.erase(U"\uFF5E");
}

}  // namespace

CharsmapRules charsmap_rules(std::string_view name) {
  if (name == "identity") return {};
  if (name != "nfkc" && name != "nmt_nfkc") {
    throw ConfigError("train: normalizer must be 'nmt_nfkc', 'nfkc' or 'identity', got '" +
                      std::string(name) + "'");
  }
  CharsmapRules rules = nfkc_rules();
  if (name == "nmt_nfkc") add_nmt_rules(rules);
  return without_redundant(rules);
}

}  // namespace llmcore::tokenizer
