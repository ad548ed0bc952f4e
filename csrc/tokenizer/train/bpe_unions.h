// What two tokens make when they merge, whether they may, and which of two pairs goes first.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "tokenizer/models/byte_alphabet.h"
#include "tokenizer/train/bpe_merging.h"
#include "tokenizer/train/bpe_pairs.h"

namespace llmcore::tokenizer {

class Unions {
 public:
  Unions(const GrowingVocabulary& vocabulary, const MergingRules& rules)
      : vocabulary_(vocabulary), rules_(rules), lengths_(rules.lengths) {
    lengths_.resize(vocabulary.size(), 1);
    if (rules.tie_break == TieBreak::kIds) return;
    for (std::uint32_t id = 0; id < vocabulary.size(); ++id) keys_.push_back(key(id));
  }

  std::string text(std::uint32_t left, std::uint32_t right) const {
    std::string_view rest = vocabulary_[right];
    const std::string& prefix = rules_.continuing_subword_prefix;
    if (rest.starts_with(prefix)) rest.remove_prefix(prefix.size());
    return vocabulary_[left] + std::string(rest);
  }
  // Tells of a token that (left, right) made, which may be an old one.
  void added(std::uint32_t id, std::uint32_t left, std::uint32_t right) {
    if (id < lengths_.size()) return;
    lengths_.push_back(lengths_[left] + lengths_[right]);
    if (rules_.tie_break != TieBreak::kIds) keys_.push_back(key(id));
  }

  // Of two tokens that meet, at first in the text or `later` beside a new token.
  bool may_wait(std::uint32_t left, std::uint32_t right, bool later) const {
    if (rules_.pieces != nullptr) return rules_.pieces->allows(text(left, right));
    return !later || std::size_t{lengths_[left]} + lengths_[right] < rules_.max_token_length;
  }
  // Whether a merge would spell a token that no merge may make.
  bool is_forbidden(std::uint32_t left, std::uint32_t right) const {
    if (rules_.forbidden.empty() && rules_.pieces == nullptr) return false;
    const std::uint32_t* id = vocabulary_.find(text(left, right));
    if (id == nullptr) return false;
    return rules_.pieces != nullptr || (*id < rules_.forbidden.size() && rules_.forbidden[*id]);
  }

  // Of pairs with equal counts: whether `a` waits for `b`.
  bool is_after(std::uint64_t a, std::uint64_t b) const {
    if (rules_.tie_break == TieBreak::kIds) return a > b;
    return rules_.tie_break == TieBreak::kBytes ? is_after_by_bytes(a, b)
                                                : is_after_by_length(a, b);
  }

 private:
  std::string key(std::uint32_t id) const {
    std::string bytes;
    if (rules_.byte_level && text_to_bytes(vocabulary_[id], bytes)) return bytes;
    return vocabulary_[id];
  }
  bool is_after_by_bytes(std::uint64_t a, std::uint64_t b) const {
    const int order = keys_[left_of(a)].compare(keys_[left_of(b)]);
    if (order != 0) return order > 0;
    const int rest = keys_[right_of(a)].compare(keys_[right_of(b)]);
    return rest != 0 ? rest > 0 : a > b;
  }
  bool is_after_by_length(std::uint64_t a, std::uint64_t b) const {
    const std::uint64_t size_a = std::uint64_t{lengths_[left_of(a)]} + lengths_[right_of(a)];
    const std::uint64_t size_b = std::uint64_t{lengths_[left_of(b)]} + lengths_[right_of(b)];
    if (size_a != size_b) return size_a > size_b;
    const int order =
        (keys_[left_of(a)] + keys_[right_of(a)]).compare(keys_[left_of(b)] + keys_[right_of(b)]);
    return order != 0 ? order > 0 : a > b;
  }

  const GrowingVocabulary& vocabulary_;
  const MergingRules& rules_;
  std::vector<std::uint32_t> lengths_;  // in symbols of the alphabet
  std::vector<std::string> keys_;       // the bytes that a tie is broken by
};

}  // namespace llmcore::tokenizer
