// Text to ids: added tokens, pre-tokens, a per-thread cache of merged pre-tokens, batches.
#pragma once

#include <array>
#include <atomic>
#include <memory>
#include <span>

#include "bpe_model.h"
#include "parallel.h"
#include "piece_key.h"
#include "special_tokens.h"

namespace llmcore::tokenizer {

using Text = std::span<const std::uint8_t>;

// Ids of a batch laid end to end: text i owns ids[offsets[i], offsets[i + 1]).
struct BatchIds {
  std::vector<std::uint32_t> ids;
  std::vector<std::int64_t> offsets;
};

// A growing array of ids whose tail can be written before its length is known.
class IdBuffer {
 public:
  std::uint32_t* room(std::size_t count) {
    if (ids_.size() < size_ + count) ids_.resize(std::max(ids_.size() * 2, size_ + count + 1024));
    return ids_.data() + size_;
  }
  void advance(std::size_t count) { size_ += count; }
  std::size_t size() const { return size_; }
  const std::uint32_t* data() const { return ids_.data(); }
  void clear() { size_ = 0; }
  std::vector<std::uint32_t> take() {
    ids_.resize(size_);
    size_ = 0;
    return std::move(ids_);
  }

 private:
  std::vector<std::uint32_t> ids_;
  std::size_t size_ = 0;
};

// What one thread needs to encode: the piece cache and the merge buffers.
class Workspace {
 public:
  Workspace() : cache_(kNumSlots) {}

  MergeScratch scratch;
  std::vector<Segment> segments, plain_segments;

  struct alignas(32) CacheSlot {
    PieceKey key;
    std::uint32_t count = 0;
    std::uint32_t ids[3] = {};
  };
  static constexpr std::size_t kMaxCachedIds = 3;
  // Two neighbouring slots of one cache line share a home.
  CacheSlot* slots_of(const PieceKey& key) {
    return &cache_[(key.hash() & (kNumSlots / 2 - 1)) * 2];
  }

 private:
  static constexpr std::size_t kNumSlots = 1 << 16;
  std::vector<CacheSlot> cache_;
};

class BpeEncoder {
 public:
  explicit BpeEncoder(std::shared_ptr<const BpeModel> model);
  ~BpeEncoder();
  BpeEncoder(const BpeEncoder&) = delete;
  BpeEncoder& operator=(const BpeEncoder&) = delete;

  const BpeModel& model() const { return *model_; }

  // `allowed[i]` lets the i-th added token be found in text; the others are ordinary text.
  std::vector<std::uint32_t> encode(Text text, const std::vector<char>& allowed) const;
  BatchIds encode_batch(const std::vector<Text>& texts, const std::vector<char>& allowed,
                        unsigned num_threads, const Tick& tick) const;
  // Merge candidates looked at while encoding `text` with an empty cache.
  std::uint64_t count_steps(Text text) const;

 private:
  void encode_text(Text text, const std::vector<char>& allowed, Workspace& work,
                   IdBuffer& out) const;
  void encode_plain(const std::uint8_t* p, const std::uint8_t* end, Workspace& work,
                    IdBuffer& out) const;
  void encode_miss(const std::uint8_t* p, std::size_t size, const PieceKey& key, Workspace& work,
                   IdBuffer& out) const;
  bool may_cut(const std::vector<char>& allowed) const;
  std::unique_ptr<Workspace> acquire() const;
  void release(std::unique_ptr<Workspace> work) const;

  std::shared_ptr<const BpeModel> model_;
  AddedTokenMatcher literal_;     // found before the text is normalised
  AddedTokenMatcher normalized_;  // found after it
  mutable std::array<std::atomic<Workspace*>, 16> idle_{};
};

}  // namespace llmcore::tokenizer
