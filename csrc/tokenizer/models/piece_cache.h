// One thread's memory of merged pre-tokens: most text is a few thousand pieces over and over.
// Short pieces with few ids live in half a cache line; the rest in an arena, emptied when full.
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

  // Reading four words from `ids` stays inside the slot.
  struct alignas(32) Slot {
    PieceKey key;
    std::uint32_t ids[kMaxInlineIds] = {};
    std::uint32_t count = 0;
  };
  static_assert(sizeof(Slot) == 32);

  PieceCache() : slots_(kFirstSlots + 1), rare_(kFirstRare), mask_(kFirstSlots / 2 - 1) {}

  // Where a key of this hash lives: two slots side by side.
  const Slot* home(std::uint64_t hash) const { return slots_.data() + (hash & mask_) * 2; }

  // Copies the ids of a piece of up to kMaxPiece bytes to `out` and returns their number; 0 if it
  // is not known. `end` bounds the readable bytes.
  std::size_t find(const std::uint8_t* p, std::size_t size, const std::uint8_t* end,
                   std::uint32_t* out) const {
    if (size <= kMaxKeyPiece) {
      const PieceKey key = make_piece_key(p, size, end);
      const Slot* slot = home(key.hash());
      if (slot->key != key) ++slot;
      if (slot->key == key) {
        std::memcpy(out, slot->ids, sizeof slot->ids);
        return slot->count;
      }
    }
    return find_rare(p, size, hash_bytes(p, size), out);
  }

  void insert(const std::uint8_t* p, std::size_t size, const std::uint8_t* end,
              const std::uint32_t* ids, std::size_t count) {
    if (size > kMaxKeyPiece || count > kMaxInlineIds) {
      return insert_rare(p, size, hash_bytes(p, size), ids, count);
    }
    if (++num_inserts_ > slots_.size() / 4 && slots_.size() < kMostSlots) grow();
    Slot slot{make_piece_key(p, size, end)};
    std::memcpy(slot.ids, ids, count * sizeof *ids);
    slot.count = static_cast<std::uint32_t>(count);
    put(slot);
  }

 private:
  struct RareSlot {
    std::uint64_t hash = 0;
    std::uint32_t begin = 0;
    std::uint16_t size = 0;
    std::uint16_t count = 0;
  };
  static constexpr std::size_t kFirstSlots = 1 << 15;
  static constexpr std::size_t kMostSlots = 1 << 19;
  static constexpr std::size_t kFirstRare = 1 << 12;
  static constexpr std::size_t kMostRare = 1 << 17;
  static constexpr std::size_t kArenaBytes = 1 << 25;

  // The newest of a home comes first and pushes out the oldest.
  void put(const Slot& slot) {
    Slot* to = slots_.data() + (slot.key.hash() & mask_) * 2;
    to[1] = to[0];
    to[0] = slot;
  }
  void grow() {
    std::vector<Slot> old((slots_.size() - 1) * 4 + 1);
    old.swap(slots_);
    mask_ = (slots_.size() - 1) / 2 - 1;
    num_inserts_ = 0;
    for (std::size_t i = old.size(); i-- > 0;) {
      if (old[i].count > 0) put(old[i]), ++num_inserts_;
    }
  }

  std::size_t find_rare(const std::uint8_t* piece, std::size_t size, std::uint64_t hash,
                        std::uint32_t* out) const {
    const RareSlot& slot = rare_[hash & (rare_.size() - 1)];
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
      rare_.assign(rare_.size(), {});
    }
    if (++num_rare_ > rare_.size() / 4 && rare_.size() < kMostRare) grow_rare();
    rare_[hash & (rare_.size() - 1)] = {hash, static_cast<std::uint32_t>(arena_.size()),
                                        static_cast<std::uint16_t>(size),
                                        static_cast<std::uint16_t>(count)};
    const auto* id_bytes = reinterpret_cast<const std::uint8_t*>(ids);
    arena_.insert(arena_.end(), piece, piece + size);
    arena_.insert(arena_.end(), id_bytes, id_bytes + count * sizeof *ids);
  }
  void grow_rare() {
    std::vector<RareSlot> old(rare_.size() * 4);
    old.swap(rare_);
    for (const RareSlot& slot : old) {
      if (slot.size > 0) rare_[slot.hash & (rare_.size() - 1)] = slot;
    }
  }

  std::vector<Slot> slots_;
  std::vector<RareSlot> rare_;
  std::vector<std::uint8_t> arena_;
  std::size_t mask_;
  std::size_t num_inserts_ = 0, num_rare_ = 0;
};

}  // namespace llmcore::tokenizer
