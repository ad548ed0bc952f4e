// The tokens that BPE training begins with, and how a word is spelled in them.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "tokenizer/train/bpe_merging.h"
#include "tokenizer/train/bpe_trainer.h"

namespace llmcore::tokenizer {

// The 256 bytes, in the order of the characters that stand for them.
class ByteSpelling {
 public:
  explicit ByteSpelling(GrowingVocabulary& vocabulary);
  void operator()(std::string_view word, std::vector<std::uint32_t>& symbols) const {
    for (const char c : word) symbols.push_back(ids_[static_cast<std::uint8_t>(c)]);
  }

 private:
  std::array<std::uint32_t, 256> ids_{};
};

// The characters of the text by code point, then what they become inside and at the end of words.
class CharSpelling {
 public:
  // Characters below `least_new` get no token, but may have one.
  CharSpelling(GrowingVocabulary& vocabulary, const WordTable& words, const BpeTrainerArgs& args,
               std::uint32_t least_new = 0);
  // No merge passes an ill-formed byte or a character beyond the coverage; one that
  // limit_alphabet leaves out is as if it were not there, as in Hugging Face tokenizers.
  void operator()(std::string_view word, std::vector<std::uint32_t>& symbols) const;

 private:
  // Ids by place in the word; kBreak beyond the coverage, kAbsent beyond the limit.
  struct Forms {
    std::uint32_t first, inside, last, only;
  };
  static constexpr std::uint32_t kAbsent = kBreak - 1;

  void add_forms(GrowingVocabulary& vocabulary, const WordTable& words, const BpeTrainerArgs& args);

  std::unordered_map<std::uint32_t, Forms> forms_;
};

}  // namespace llmcore::tokenizer
