// One thread's memory of merged pre-tokens: most text is a few thousand pieces over and over.
// A slot is half a cache line. It holds up to three ids itself; more of them, and the bytes of a
// piece too long for its key, are in an arena. When that is full everything is forgotten.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <utility>
#include <vector>

#include "tokenizer/models/bpe_memory.h"
#include "tokenizer/models/piece_key.h"

namespace llmcore::tokenizer {

class PieceCache {
 public:
  static constexpr std::size_t kMaxPiece = 256;  // longer ones are not kept
  static constexpr std::uint32_t kInlineIds = 3;
  static constexpr std::uint32_t kCopiedIds = 8;
  static constexpr std::uint32_t kRoom = 16;

  struct alignas(32) Slot {
    std::uint32_t ids[kInlineIds] = {};  // or where they are in the arena, and the size
    std::uint16_t count = 0;             // 0: empty
    std::uint16_t is_stored = 0;
    PieceKey key;
  };
  static_assert(sizeof(Slot) == 32);

  PieceCache() : slots_(make_huge_array<Slot>(kFirstSlots)), mask_(kFirstSlots / 2 - 1) {
    arena_.resize(kPadWords);
  }

  // Where a key of this hash lives: two slots side by side, good until the next insert.
  const Slot* home(std::uint64_t hash) const { return slots_.get() + (hash & mask_) * 2; }
  // Changes when slots move.
  const void* address() const { return slots_.get(); }

  // Fetches what a hit on this slot will read.
  void prefetch_ids(const Slot& slot) const {
    const std::uint32_t* from = ids_of(slot);
    __builtin_prefetch(from);
    __builtin_prefetch(from + 16);
  }
  // Copies the ids of a short piece and returns their number; writes up to kRoom words. The first
  // kCopiedIds are copied without a branch.
  std::size_t copy_short(const Slot& slot, std::uint32_t* out) const {
    const std::uint32_t* from = ids_of(slot);
    std::memcpy(out, from, kCopiedIds * sizeof *out);
    if (slot.count > kCopiedIds) [[unlikely]] {
      std::memcpy(out + kCopiedIds, from + kCopiedIds, (kRoom - kCopiedIds) * sizeof *out);
    }
    return slot.count;
  }

  // Copies the ids of a piece of up to kMaxPiece bytes to `out`, which has room for kMaxPiece +
  // kRoom, and returns their number; 0 if it is not known. `key` is the piece's.
  std::size_t find(const PieceKey& key, const std::uint8_t* p, std::size_t size,
                   std::uint32_t* out) const {
    const Slot* slot = home(key.hash());
    if (slot->key != key) ++slot;
    if (slot->key != key) return 0;
    return size <= kMaxKeyPiece ? copy_short(*slot, out) : copy_long(*slot, p, size, out);
  }

  // The same of a long piece whose key is the slot's; 0 if it is another piece after all.
  std::size_t copy_long(const Slot& slot, const std::uint8_t* p, std::size_t size,
                        std::uint32_t* out) const {
    const std::uint32_t* at = stored(slot);
    if (slot.ids[1] != size || !same_long_bytes(at, p, size)) return 0;
    at += round_up(size) / kWordBytes;
    for (std::size_t i = 0; i < slot.count; i += kCopiedIds) {
      std::memcpy(out + i, at + i, kCopiedIds * sizeof *out);
    }
    return slot.count;
  }

  // Not found before; 1 <= count <= size <= kMaxPiece.
  void insert(const PieceKey& key, const std::uint8_t* p, std::size_t size,
              const std::uint32_t* ids, std::size_t count) {
    if (arena_.size() > kMostArena) forget();
    if (++num_inserts_ > mask_ && mask_ + 1 < kMostSlots / 2) grow();
    Slot slot;
    slot.key = key;
    slot.count = static_cast<std::uint16_t>(count);
    if (size <= kMaxKeyPiece && count <= kInlineIds) {
      std::memcpy(slot.ids, ids, count * sizeof *ids);
    } else {
      slot.is_stored = 1;
      slot.ids[0] = static_cast<std::uint32_t>(arena_.size() - kPadWords);
      slot.ids[1] = static_cast<std::uint32_t>(size);
      if (size > kMaxKeyPiece) store(p, size);
      store(ids, count * sizeof *ids);
    }
    put(slot);
  }

 private:
  static constexpr std::size_t kFirstSlots = 1 << 16;
  static constexpr std::size_t kMostSlots = 1 << 20;
  static constexpr std::size_t kMostArena = 1 << 24;
  static constexpr std::size_t kPadWords = 16, kWordBytes = 4;

  const std::uint32_t* stored(const Slot& slot) const { return arena_.data() + slot.ids[0]; }
  // In the slot or in the arena: a choice by arithmetic, since a branch would often go wrong.
  const std::uint32_t* ids_of(const Slot& slot) const {
    const auto inside = reinterpret_cast<std::uintptr_t>(slot.ids);
    const auto outside = reinterpret_cast<std::uintptr_t>(stored(slot));
    const std::uintptr_t choice = -static_cast<std::uintptr_t>(slot.is_stored);
    const std::uintptr_t chosen = inside ^ ((inside ^ outside) & choice);
    return reinterpret_cast<const std::uint32_t*>(chosen);  // NOLINT(performance-no-int-to-ptr)
  }
  static std::size_t round_up(std::size_t size) { return (size + 15) & ~std::size_t{15}; }

  // size >= 16, so the last sixteen bytes may overlap the ones before.
  static bool same_long_bytes(const std::uint32_t* stored, const std::uint8_t* b,
                              std::size_t size) {
    const auto* a = reinterpret_cast<const std::uint8_t*>(stored);
    std::uint64_t differs = 0;
    const auto compare = [&](std::size_t i) {
      std::uint64_t x[2], y[2];
      std::memcpy(x, a + i, 16);
      std::memcpy(y, b + i, 16);
      differs |= (x[0] ^ y[0]) | (x[1] ^ y[1]);
    };
    for (std::size_t i = 0; i + 16 < size; i += 16) compare(i);
    compare(size - 16);
    return differs == 0;
  }

  // The arena always ends in kPadWords that may be read.
  void store(const void* bytes, std::size_t size) {
    const std::size_t at = arena_.size() - kPadWords;
    arena_.resize(arena_.size() + round_up(size) / sizeof(std::uint32_t));
    std::memcpy(arena_.data() + at, bytes, size);
  }
  // The newest of a home comes first and pushes out the oldest.
  void put(const Slot& slot) {
    Slot* to = slots_.get() + (slot.key.hash() & mask_) * 2;
    to[1] = to[0];
    to[0] = slot;
  }
  void grow() {
    const std::size_t num_old = (mask_ + 1) * 2;
    const HugeArray<Slot> old = std::exchange(slots_, make_huge_array<Slot>(num_old * 2));
    mask_ = num_old - 1;
    num_inserts_ = 0;
    for (std::size_t i = num_old; i-- > 0;) {
      if (old[i].count > 0) put(old[i]), ++num_inserts_;
    }
  }
  void forget() {
    std::fill_n(slots_.get(), (mask_ + 1) * 2, Slot{});
    arena_.resize(kPadWords);
    num_inserts_ = 0;
  }

  HugeArray<Slot> slots_;
  std::vector<std::uint32_t> arena_;
  std::size_t mask_;  // homes - 1
  std::size_t num_inserts_ = 0;
};

}  // namespace llmcore::tokenizer
