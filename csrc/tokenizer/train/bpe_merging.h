// The loop of BPE training: merge the most frequent pair, count its new neighbours, repeat.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "tokenizer/train/bpe_pairs.h"
#include "tokenizer/train/bpe_rows.h"
#include "tokenizer/train/bpe_trainer.h"
#include "tokenizer/train/piece_rules.h"

namespace llmcore::tokenizer {

// Tokens by id and ids by text, as training adds them.
class GrowingVocabulary {
 public:
  // Id of `text`, a new one if it has none.
  std::uint32_t add(std::string text) {
    const auto it = ids_.find(text);
    if (it != ids_.end()) return it->second;
    tokens_.push_back(std::move(text));
    const auto id = static_cast<std::uint32_t>(tokens_.size() - 1);
    ids_.emplace(tokens_.back(), id);
    return id;
  }
  // An id that no text has.
  void skip() { tokens_.emplace_back(); }
  const std::uint32_t* find(std::string_view text) const {
    const auto it = ids_.find(text);
    return it == ids_.end() ? nullptr : &it->second;
  }
  const std::string& operator[](std::uint32_t id) const { return tokens_[id]; }
  std::size_t size() const { return tokens_.size(); }
  std::vector<std::string> take() {
    ids_.clear();
    return {std::make_move_iterator(tokens_.begin()), std::make_move_iterator(tokens_.end())};
  }

 private:
  std::deque<std::string> tokens_;  // never moves a text
  std::unordered_map<std::string_view, std::uint32_t> ids_;
};

struct MergingRules {
  std::size_t vocab_size = 0;
  std::int64_t min_frequency = 0;
  TieBreak tie_break = TieBreak::kIds;
  std::size_t max_token_length = 0;
  bool byte_level = false;
  std::string continuing_subword_prefix;
  std::vector<std::uint32_t> lengths;  // of the first tokens; 1 for those not given
  std::vector<bool> forbidden;         // ids whose text a merge must not make; may be empty
  // As in SentencePiece: a union must be allowed here, and new.
  const PieceRules* pieces = nullptr;
};

// Merges until the vocabulary is full; returns the merges in order.
std::vector<std::pair<std::uint32_t, std::uint32_t>> merge_rows(SymbolRows rows,
                                                                GrowingVocabulary& vocabulary,
                                                                const MergingRules& rules,
                                                                const TrainTick& tick);

}  // namespace llmcore::tokenizer
