// BPE over characters with Hugging Face tokenizers' options: unknown token, byte fallback, prefix
// of continuing and suffix of last symbols. Also over bytes where a vocabulary lacks some of them.
#pragma once

#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "tokenizer/models/bpe.h"

namespace llmcore::tokenizer {

class CharBpe : public Bpe {
 public:
  explicit CharBpe(const TokenizerSpec& spec);
  std::size_t size() const override { return texts_.size(); }

 private:
  struct Symbols;
  void cut(Text piece, double dropout, DropoutRng* rng, BpeScratch& scratch, IdBuffer& ids,
           std::vector<std::uint32_t>* ends) const override;
  void load(Text piece, BpeScratch& scratch) const;
  void add_symbol(std::string_view text, std::uint32_t size, Symbols& symbols) const;
  std::uint32_t find(std::string_view text) const;
  void add_merges(const TokenizerSpec& spec);

  std::vector<std::string> texts_;
  std::unordered_map<std::string_view, std::uint32_t> ids_;
  std::uint32_t byte_ids_[256];  // of <0xAB>
  std::uint32_t unk_id_ = kNoRank;
  MergeRules rules_;
  BpeOptions options_;
  bool over_bytes_;
};

}  // namespace llmcore::tokenizer
