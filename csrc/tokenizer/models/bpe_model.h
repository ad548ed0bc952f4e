// A byte-level BPE vocabulary: the bytes of every token, the merges by rank, and the exact merge
// of one pre-token (lowest rank first, leftmost first among equals).
// Source: Sennrich et al. 2016, arXiv:1508.07909.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tokenizer/formats/spec.h"
#include "tokenizer/formats/text_index.h"
#include "tokenizer/models/bpe_merge.h"

namespace llmcore::tokenizer {

class BpeModel {
 public:
  // A vocabulary over bytes (is_byte_level). Throws DataError where two tokens are one text, a
  // merge names what is no token, or there are too many of either.
  explicit BpeModel(const TokenizerSpec& spec);
  BpeModel(const BpeModel&) = delete;
  BpeModel& operator=(const BpeModel&) = delete;
  ~BpeModel() { delete merging_.load(); }
  // Whether `spec` can be one of these: its tokens are bytes, and nothing but merges decides.
  static bool is_byte_level(const TokenizerSpec& spec);

  // Makes now what the first merge would make: before threads that would each make their own.
  void prepare() const { merging(); }

  std::size_t size() const { return starts_.size() - 1; }
  std::string_view token_bytes(std::uint32_t id) const {
    return {bytes_.data() + starts_[id], starts_[id + 1] - starts_[id]};
  }

  // Writes the ids of one pre-token to `out`, which has room for `size` ids; returns their number.
  // O(n log n) in the size. Throws DataError if a byte has no token.
  std::size_t encode_piece(const std::uint8_t* piece, std::size_t size, std::uint32_t* out,
                           MergeScratch& scratch) const;
  // The same with BPE-dropout; `ignore_merges` then has no say, as in Hugging Face tokenizers.
  std::size_t sample_piece(const std::uint8_t* piece, std::size_t size, double dropout,
                           std::uint32_t* out, DropoutRng& rng, MergeScratch& scratch) const;

 private:
  struct BytesOf {
    const BpeModel* model;
    std::string_view operator()(std::uint32_t id) const { return model->token_bytes(id); }
    void prefetch(std::uint32_t id) const { __builtin_prefetch(&model->starts_[id]); }
  };

  void add_tokens(const std::vector<std::string>& texts, bool spelled);
  void add_byte_ids(const TokenIndex& ids_by_text, bool spelled);
  // What merges a piece that is no token.
  struct Merging {
    MergeRules rules;
    std::vector<std::uint32_t> byte_pair_rank;  // 256 x 256: the first look-up of every piece
  };

  MergeRules listed_rules(const TokenizerSpec& spec, const TokenIndex& ids_by_text) const;
  bool may_lack_unions() const;
  MergeRules rules_of_unions() const;
  void set_merging(MergeRules rules) const;
  const Merging& merging() const {
    const Merging* made = merging_.load(std::memory_order_acquire);
    if (made == nullptr) [[unlikely]] {
      set_merging(rules_of_unions());
      made = merging_.load(std::memory_order_acquire);
    }
    return *made;
  }
  void load_bytes(const std::uint8_t* piece, std::size_t size, std::uint32_t* ids) const;

  std::string bytes_;
  std::vector<std::uint64_t> starts_;
  std::optional<TextIndex<BytesOf>> ids_by_bytes_;  // with ignore_merges
  std::array<std::uint32_t, 256> byte_ids_{};
  // Of ranks made at the first merge: their pairs take longer to find than all else to load. No
  // lock, since a fork could inherit it held; two threads may both make it, and one is kept.
  mutable std::atomic<const Merging*> merging_{nullptr};
  bool ignore_merges_ = false;
  bool complete_alphabet_ = true;
};

}  // namespace llmcore::tokenizer
