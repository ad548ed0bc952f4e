// SentencePiece's BPE: a whole sentence at once, the best-scored union first. The sentence is cut
// where no piece holds the two characters that meet, which no merge can cross; the units that are
// left (words, mostly) are remembered.
#pragma once

#include <array>
#include <string>
#include <unordered_map>
#include <vector>

#include "tokenizer/models/bpe.h"
#include "tokenizer/models/bpe_union.h"
#include "tokenizer/models/piece_cache.h"

namespace llmcore::tokenizer {

class SentencePieceBpe : public Bpe {
 public:
  SentencePieceBpe(const TokenizerSpec& spec, std::vector<PieceType> kinds);
  std::size_t size() const override { return texts_.size(); }
  std::unique_ptr<ModelScratch> make_scratch() const override;

 private:
  struct Scratch;
  struct Call;  // the arguments of cut() on their way down
  void cut(Text piece, double dropout, DropoutRng* rng, BpeScratch& scratch, IdBuffer& ids,
           std::vector<std::uint32_t>* ends) const override;
  void name_symbols();
  void add_rules(const std::vector<double>& scores);
  void note_neighbours(std::string_view text);
  bool may_join(std::uint32_t a, std::uint32_t b) const;
  std::size_t user_defined_size(const std::uint8_t* p, const std::uint8_t* end) const;
  bool holds_user_defined(Text text) const;
  std::uint32_t symbol_of(std::uint32_t c) const;
  std::string_view symbol_text(std::uint32_t id) const;
  void load(Text unit, BpeScratch& scratch) const;
  void load_sentence(Text piece, BpeScratch& scratch) const;
  void encode_unit(Text unit, Call& call) const;
  void encode_units(Text piece, Call& call) const;
  void merge_unit(Text unit, Call& call) const;
  void encode_resegmented(Text piece, Call& call) const;
  void emit(std::uint32_t id, Text surface, Call& call) const;

  std::vector<std::string> texts_;
  std::vector<PieceType> kinds_;
  // Pieces, and characters of pieces that are none themselves.
  std::unordered_map<std::string_view, std::uint32_t> symbols_;
  std::vector<std::string> extras_;  // texts of the latter
  std::array<std::uint32_t, 128> ascii_ids_{};
  std::unordered_map<std::uint32_t, std::uint32_t> char_ids_;
  std::uint32_t stranger_ = 0;  // stands for every character that no piece holds
  std::array<std::uint32_t, 256> byte_ids_{};
  std::uint32_t unk_id_ = kNoRank;
  std::array<std::vector<std::uint32_t>, 256> user_sizes_;  // by first byte, longest first
  bool byte_fallback_ = false, has_unused_ = false;
  MergeRules rules_;
  std::vector<std::uint64_t> neighbours_;  // bits by hash of two characters
};

}  // namespace llmcore::tokenizer
