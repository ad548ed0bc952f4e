// Ladder, GPT-2's vocabulary, 4 MB / 60 MB of English and code, warm, CPU time of one thread of a
// two-core AMD EPYC (Zen 4) that others shared; cold (first pass) in brackets, all MB/s:
//   one piece at a time, scalar scanner: bound by mispredicted branches     (not measured on these)
//   batches of 128, prefetched slots, scanner of 64-byte blocks              257 [106] / 157 [111]
//   ids of many-token pieces and long pieces behind the same slots           300 [167] / 193 [136]
//   slots on huge pages, half as sparse: was bound by address translation    321 [184] / 293 [210]
//   inline or stored ids chosen by arithmetic, one room per batch            376 [226] / 341 [232]
// Japanese, 12 MB: 97 [69]; 225 [114]; 200 [124]; 263 [138]; three-byte characters by a loop of
// their own and pieces up to 256 bytes kept 269 [134]; minima by scalar loads (a vector load waited
// for the store before it) 312 [173].
#include "tokenizer/pipeline/encode_pieces.h"

namespace llmcore::tokenizer {
namespace {

constexpr std::size_t kBatch = 128;

// A piece that is not where it should be in the cache. `to` has room for size + kRoom ids.
[[gnu::noinline]] std::size_t encode_rare(const BpeModel& model, const PieceKey& key,
                                          const std::uint8_t* p, std::size_t size,
                                          PieceWorkspace& work, std::uint32_t* to) {
  if (size > PieceCache::kMaxPiece) return model.encode_piece(p, size, to, work.scratch);
  if (const std::size_t count = work.cache.find(key, p, size, to)) return count;
  const std::size_t count = model.encode_piece(p, size, to, work.scratch);
  work.cache.insert(key, p, size, to, count);
  return count;
}

}  // namespace

// A batch of pieces at a time: scan; hash and prefetch slots; prefetch what they point at; copy.
// The common case, a short piece that was seen before, runs without a branch that depends on the
// text.
void encode_pieces(const BpeModel& model, const PieceScanner& scanner, Text text,
                   PieceWorkspace& work, IdBuffer& out) {
  const std::uint8_t* ends[kBatch + 1];
  PieceKey keys[kBatch];
  const PieceCache::Slot* slots[kBatch];
  const std::uint8_t* end = text.data() + text.size();
  const PieceCache& cache = work.cache;
  ends[0] = text.data();
  while (ends[0] < end) {
    const std::size_t count = scanner.scan(ends[0], end, ends + 1, kBatch);
    for (std::size_t i = 0; i < count; ++i) {
      keys[i] = make_piece_key(ends[i], static_cast<std::size_t>(ends[i + 1] - ends[i]), end);
      slots[i] = cache.home(keys[i].hash());
      __builtin_prefetch(slots[i]);
    }
    for (std::size_t i = 0; i < count; ++i) {
      slots[i] += slots[i]->key == keys[i] ? 0 : 1;
      cache.prefetch_ids(*slots[i]);
    }
    std::uint32_t* base =
        out.room(static_cast<std::size_t>(ends[count] - ends[0]) + PieceCache::kRoom);
    std::uint32_t* to = base;
    for (std::size_t i = 0; i < count; ++i) {
      const PieceCache::Slot& slot = *slots[i];
      const auto size = static_cast<std::size_t>(ends[i + 1] - ends[i]);
      if (slot.key == keys[i]) [[likely]] {
        const bool is_long = keys[i].is_long();
        const std::size_t copied = !is_long ? cache.copy_short(slot, to)
                                   : size <= PieceCache::kMaxPiece
                                       ? cache.copy_long(slot, ends[i], size, to)
                                       : 0;
        to += copied;
        if (copied > 0) continue;
      }
      const void* address = cache.address();
      to += encode_rare(model, keys[i], ends[i], size, work, to);
      if (cache.address() == address) continue;
      for (std::size_t j = i + 1; j < count; ++j) slots[j] = cache.home(keys[j].hash());
    }
    out.advance(static_cast<std::size_t>(to - base));
    ends[0] = ends[count];
  }
}

}  // namespace llmcore::tokenizer
