// Merges of a vocabulary that lists none (tiktoken's ranks, SentencePiece's scores): two neighbours
// merge where their union is a token, the best token first.
#pragma once

#include <cstdint>
#include <functional>
#include <string_view>
#include <vector>

#include "tokenizer/models/bpe_merge.h"

namespace llmcore::tokenizer {

// Looking for the pairs of a token that no merge makes takes time in proportion to the square of
// its size: longer ones are refused.
inline constexpr std::size_t kMaxUnion = 1024;

struct UnionToken {
  std::string_view text;
  std::uint32_t id = 0;
  bool tied = false;        // as good as the token before it
  bool all_splits = false;  // keep every pair that makes it up
};

// The id of a text, or kNoRank.
using FindSymbol = std::function<std::uint32_t(std::string_view text)>;
// Cuts a text into the symbols that merging starts from.
using CutSymbols = std::function<void(std::string_view text, std::vector<std::uint32_t>& ids)>;

// `tokens` are the best first, equally good ones by length; `find` knows every token and every
// first symbol. A token is only ever reached from the pair that its own text leaves when everything
// better is merged, so that pair alone is kept (every pair where more than two symbols are left).
MergeRules union_rules(const std::vector<UnionToken>& tokens, const FindSymbol& find,
                       const CutSymbols& cut);

}  // namespace llmcore::tokenizer
