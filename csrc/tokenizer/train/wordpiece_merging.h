// The loop of WordPiece training: merge the best pair until the vocabulary is full.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "tokenizer/train/wordpiece_trainer.h"
#include "tokenizer/train/wordpiece_words.h"

namespace llmcore::tokenizer {

// Token texts by id; a text keeps its first id.
class WordPieceVocabulary {
 public:
  explicit WordPieceVocabulary(std::string prefix) : prefix_(std::move(prefix)) {}

  // The text's id, a new one where it has none.
  std::uint32_t add(const std::string& text) {
    const auto [it, added] = ids_.emplace(text, static_cast<std::uint32_t>(texts_.size()));
    if (added) texts_.push_back(text);
    return it->second;
  }
  // An id without a text.
  void skip() { texts_.emplace_back(); }
  // The text's id; null: none.
  const std::uint32_t* find(const std::string& text) const {
    const auto known = ids_.find(text);
    return known == ids_.end() ? nullptr : &known->second;
  }
  // The token's text without the prefix of those inside words.
  std::string_view inner_text(std::uint32_t id) const {
    std::string_view text = texts_[id];
    if (text.starts_with(prefix_)) text.remove_prefix(prefix_.size());
    return text;
  }
  const std::string& prefix() const { return prefix_; }
  const std::string& operator[](std::uint32_t id) const { return texts_[id]; }
  std::size_t size() const { return texts_.size(); }
  std::vector<std::string> take() { return std::move(texts_); }

 private:
  std::string prefix_;
  std::vector<std::string> texts_;
  std::unordered_map<std::string, std::uint32_t> ids_;
};

// Of `args` only vocab_size, score and min_frequency count. No merge makes a token of `forbidden`
// (by id; those beyond it are allowed).
void merge_wordpiece(WordPieceVocabulary& vocabulary, WordPieceWords& words,
                     const WordPieceTrainerArgs& args, const std::vector<bool>& forbidden,
                     const WordPieceTick& tick);

}  // namespace llmcore::tokenizer
