// A byte-level BPE vocabulary: the bytes of every token, the merges by rank, and the exact merge
// of one pre-token (lowest rank first, leftmost first among equals).
// Source: Sennrich et al. 2016, arXiv:1508.07909.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "tokenizer/formats/spec.h"
#include "tokenizer/models/bpe_merge.h"

namespace llmcore::tokenizer {

struct AddedToken {
  std::uint32_t id = 0;
  std::string content;
  bool special = true;
  bool normalized = false;
};

class BpeModel {
 public:
  // `tokens[i]` is the text of id i (in the byte alphabet); merges name two texts of it.
  // Throws DataError on duplicates, on unknown names and on too many entries.
  BpeModel(const std::vector<std::string_view>& tokens,
           const std::vector<std::pair<std::string_view, std::string_view>>& merges,
           std::vector<AddedToken> added, bool ignore_merges);
  // A vocabulary over bytes (is_byte_level) with all 256 of them. Added tokens are the caller's.
  explicit BpeModel(const TokenizerSpec& spec);
  // Whether `spec` can be one of these: its tokens are bytes, and nothing but merges decides.
  static bool is_byte_level(const TokenizerSpec& spec);

  std::size_t size() const { return starts_.size() - 1; }
  std::string_view token_bytes(std::uint32_t id) const {
    return {bytes_.data() + starts_[id], starts_[id + 1] - starts_[id]};
  }
  const std::string& token_text(std::uint32_t id) const { return texts_[id]; }
  // Id of a token by its text in the file, or kNoRank.
  std::uint32_t find_text(std::string_view text) const;
  const std::vector<std::pair<std::uint32_t, std::uint32_t>>& merges() const { return merges_; }
  const std::vector<AddedToken>& added_tokens() const { return added_; }
  bool ignore_merges() const { return ignore_merges_; }

  // Writes the ids of one pre-token to `out`, which has room for `size` ids; returns their number.
  // O(n log n) in the size. Throws DataError if a byte has no token.
  std::size_t encode_piece(const std::uint8_t* piece, std::size_t size, std::uint32_t* out,
                           MergeScratch& scratch) const;
  // The same with BPE-dropout; `ignore_merges` then has no say, as in Hugging Face tokenizers.
  std::size_t sample_piece(const std::uint8_t* piece, std::size_t size, double dropout,
                           std::uint32_t* out, DropoutRng& rng, MergeScratch& scratch) const;

 private:
  void add_tokens(std::vector<char> is_literal, bool spelled);
  void add_merge(std::uint32_t left, std::uint32_t right);
  void add_unions();
  void fill_byte_ranks();
  void load_bytes(const std::uint8_t* piece, std::size_t size, std::uint32_t* ids) const;

  std::string bytes_;
  std::vector<std::uint64_t> starts_;
  std::vector<std::string> texts_;
  std::unordered_map<std::string_view, std::uint32_t> ids_by_text_;
  std::unordered_map<std::string_view, std::uint32_t> ids_by_bytes_;  // with ignore_merges
  std::vector<std::pair<std::uint32_t, std::uint32_t>> merges_;
  std::array<std::uint32_t, 256> byte_ids_{};
  std::vector<std::uint32_t> byte_pair_rank_;  // 256 x 256: the first look-up of every piece
  MergeRules rules_;
  std::vector<AddedToken> added_;
  bool ignore_merges_ = false;
  bool complete_alphabet_ = true;
};

}  // namespace llmcore::tokenizer
