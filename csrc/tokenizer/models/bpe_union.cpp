#include "tokenizer/models/bpe_union.h"

#include <algorithm>

namespace llmcore::tokenizer {
namespace {

// A merge rank has 22 bits; hostile vocabularies can have more splits than that.
constexpr std::size_t kMaxRules = kMaxMerges - 1;

void add_splits(const UnionToken& token, const SymbolIds& symbols, bool tied, MergeRules& rules) {
  for (std::size_t at = 1; at < token.text.size(); ++at) {
    const auto left = symbols.find(token.text.substr(0, at));
    if (left == symbols.end()) continue;
    const auto right = symbols.find(token.text.substr(at));
    if (right == symbols.end() || rules.size() >= kMaxRules) continue;
    rules.add({left->second, right->second, token.id}, tied);
    tied = true;  // all pairs of one token are equally good
  }
}

}  // namespace

MergeRules union_rules(const std::vector<UnionToken>& tokens, const SymbolIds& symbols,
                       const CutSymbols& cut) {
  MergeRules rules;
  rules.reserve(tokens.size());
  MergeScratch scratch;
  std::vector<std::uint32_t> ids;
  bool tied = false;
  std::size_t group = 0;
  for (const UnionToken& token : tokens) {
    // The better tokens of its group may have added no merge.
    tied = token.tied && (tied || rules.size() > group);
    if (!token.tied) group = rules.size();
    ids.clear();
    cut(token.text, ids);
    if (ids.size() < 2) continue;
    const bool whole = std::find(ids.begin(), ids.end(), kNoRank) == ids.end();
    if (whole && !token.all_splits && rules.merge(ids.data(), nullptr, ids.size(), scratch) == 2) {
      rules.add({ids[0], ids[1], token.id}, tied);
    } else {
      add_splits(token, symbols, tied, rules);
    }
  }
  return rules;
}

}  // namespace llmcore::tokenizer
