// One thread's memory of merged pre-tokens: most text is a few thousand pieces over and over.
// Short pieces with few ids live in one cache line; the rest in an arena that is emptied when full.
#pragma once

#include <cstdint>
#include <cstring>
#include <vector>

#include "tokenizer/models/piece_key.h"

namespace llmcore::tokenizer {

class PieceCache {
 public:
  static constexpr std::size_t kMaxInlineIds = 3;
  static constexpr std::size_t kMaxPiece = 128;

  struct alignas(32) Slot {
    PieceKey key;
    std::uint32_t count = 0;
    std::uint32_t ids[kMaxInlineIds] = {};
  };

  PieceCache() : slots_(kNumSlots), rare_(kNumRare) {}

  // The slot of a key, or null. Two neighbours of one cache line share a home.
  const Slot* find(const PieceKey& key) const {
    const Slot* slot = &slots_[home(key)];
    if (slot->key == key) return slot;
    ++slot;
    return slot->key == key ? slot : nullptr;
  }

  void insert(const PieceKey& key, const std::uint32_t* ids, std::size_t count) {
    Slot* slot = &slots_[home(key)];
    slot[1] = slot[0];
    slot->key = key;
    slot->count = static_cast<std::uint32_t>(count);
    std::memcpy(slot->ids, ids, count * sizeof *ids);
  }

  // Copies the ids of a piece of any length up to kMaxPiece to `out`; 0 if it is not known.
  std::size_t find_rare(const std::uint8_t* piece, std::size_t size, std::uint64_t hash,
                        std::uint32_t* out) const {
    const RareSlot& slot = rare_[hash & (kNumRare - 1)];
    if (slot.hash != hash || slot.size != size) return 0;
    const std::uint8_t* at = arena_.data() + slot.begin;
    if (std::memcmp(at, piece, size) != 0) return 0;
    std::memcpy(out, at + size, slot.count * sizeof *out);
    return slot.count;
  }

  void insert_rare(const std::uint8_t* piece, std::size_t size, std::uint64_t hash,
                   const std::uint32_t* ids, std::size_t count) {
    if (arena_.size() > kArenaBytes) {
      arena_.clear();
      rare_.assign(kNumRare, {});
    }
    rare_[hash & (kNumRare - 1)] = {hash, static_cast<std::uint32_t>(arena_.size()),
                                    static_cast<std::uint16_t>(size),
                                    static_cast<std::uint16_t>(count)};
    const auto* id_bytes = reinterpret_cast<const std::uint8_t*>(ids);
    arena_.insert(arena_.end(), piece, piece + size);
    arena_.insert(arena_.end(), id_bytes, id_bytes + count * sizeof *ids);
  }

 private:
  struct RareSlot {
    std::uint64_t hash = 0;
    std::uint32_t begin = 0;
    std::uint16_t size = 0;
    std::uint16_t count = 0;
  };
  static constexpr std::size_t kNumSlots = 1 << 16;
  static constexpr std::size_t kNumRare = 1 << 14;
  static constexpr std::size_t kArenaBytes = 1 << 22;

  static std::size_t home(const PieceKey& key) { return (key.hash() & (kNumSlots / 2 - 1)) * 2; }

  std::vector<Slot> slots_;
  std::vector<RareSlot> rare_;
  std::vector<std::uint8_t> arena_;
};

}  // namespace llmcore::tokenizer
