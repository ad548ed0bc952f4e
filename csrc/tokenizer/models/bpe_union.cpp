#include "tokenizer/models/bpe_union.h"

#include <algorithm>
#include <string>

#include "tokenizer/errors.h"

namespace llmcore::tokenizer {
namespace {

void add_rule(MergeRules& rules, Merge merge, bool tied) {
  if (rules.size() + 1 >= kMaxMerges) {
    throw DataError("tokenizer: tokens must be made of fewer than " + std::to_string(kMaxMerges) +
                    " pairs, got more");
  }
  rules.add(merge, tied);
}

void add_splits(const UnionToken& token, const FindSymbol& find, bool tied, MergeRules& rules) {
  if (token.text.size() > kMaxUnion) {
    throw DataError("tokenizer: a token that no merge makes must have at most " +
                    std::to_string(kMaxUnion) + " bytes, got " + std::to_string(token.text.size()));
  }
  for (std::size_t at = 1; at < token.text.size(); ++at) {
    const std::uint32_t left = find(token.text.substr(0, at));
    if (left == kNoRank) continue;
    const std::uint32_t right = find(token.text.substr(at));
    if (right == kNoRank) continue;
    add_rule(rules, {left, right, token.id}, tied);
    tied = true;  // all pairs of one token are equally good
  }
}

}  // namespace

MergeRules union_rules(const std::vector<UnionToken>& tokens, const FindSymbol& find,
                       const CutSymbols& cut) {
  MergeRules rules;
  rules.reserve(tokens.size());
  MergeScratch scratch;
  std::vector<std::uint32_t> ids;
  std::size_t group = 0;
  for (const UnionToken& token : tokens) {
    if (!token.tied) group = rules.size();
    const bool tied = rules.size() > group;  // to a merge of an equally good token
    ids.clear();
    cut(token.text, ids);
    if (ids.size() < 2) continue;
    const bool whole = std::find(ids.begin(), ids.end(), kNoRank) == ids.end();
    if (whole && !token.all_splits && rules.merge(ids.data(), nullptr, ids.size(), scratch) == 2) {
      add_rule(rules, {ids[0], ids[1], token.id}, tied);
    } else {
      add_splits(token, find, tied, rules);
    }
  }
  return rules;
}

}  // namespace llmcore::tokenizer
