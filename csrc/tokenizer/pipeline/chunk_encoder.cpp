#include "tokenizer/pipeline/chunk_encoder.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <optional>
#include <string>

#include "tokenizer/errors.h"

namespace llmcore::tokenizer {
namespace {

constexpr std::size_t kBatch = 128;
// In the key of a text's first chunk, which may differ from others of the same bytes.
constexpr std::uint64_t kFirstFlag = std::uint64_t{0x40} << 56;

}  // namespace

std::unique_ptr<const ChunkEncoder> ChunkEncoder::make(const TokenizerSpec& spec,
                                                       const ChunkParts& parts) {
  const std::optional<ChunkScanner> scanner = find_cuts(spec, parts);
  if (!scanner) return nullptr;
  return std::unique_ptr<const ChunkEncoder>(new ChunkEncoder(parts, *scanner));
}

ChunkEncoder::ChunkEncoder(const ChunkParts& parts, const ChunkScanner& scanner)
    : parts_(parts), scanner_(scanner), space_cut_(parts.space_cut()) {
  if (parts.pre_tokenizer == nullptr) scored_ = dynamic_cast<const UnigramModel*>(parts.model);
}

// Normaliser, pre-tokenizer and model. Returns below which score before it the ids hold.
double ChunkEncoder::encode_parts(Text chunk, bool is_first, Workspace& work, IdBuffer& ids,
                                  double& score) const {
  const bool marks = space_cut_ != SpaceCut::kKept;
  // The mark that the normaliser writes is the space of a chunk, or too much inside a word.
  const bool is_inside = marks && !is_first && chunk[0] > ' ';
  if (space_cut_ == SpaceCut::kDropped && !is_first && !is_inside) chunk = chunk.subspan(1);
  work.text.start(chunk, false);
  if (parts_.normalizer != nullptr) {
    parts_.normalizer->apply(work.text, work.normalized);
    work.text.swap(work.normalized);
  }
  if (work.text.size() == 0) return 0;
  if (work.text.size() > UINT32_MAX) {
    throw ConfigError("encode: a text must be below 4 GiB once normalised, got " +
                      std::to_string(work.text.size()) + " bytes");
  }
  const Text text = work.text.text().subspan(is_inside ? kMark.size() : 0);
  if (scored_ != nullptr) {
    return scored_->encode_stretch(text, work.scratch, ids, score, work.steps);
  }
  if (parts_.pre_tokenizer == nullptr) {
    parts_.model->encode(text, work.scratch, ids, nullptr);
    return 0;
  }
  work.pieces.assign(1, {0, static_cast<std::uint32_t>(work.text.size())});
  parts_.pre_tokenizer->split(work.text, work.pieces, is_first);
  for (const Piece& piece : work.pieces) {
    parts_.model->encode(work.text.text().subspan(piece.begin, piece.end - piece.begin),
                         work.scratch, ids, nullptr);
  }
  return 0;
}

// A chunk that is not in the cache, or whose remembered ids do not hold at this score.
template <bool kScored>
[[gnu::noinline]] void ChunkEncoder::encode_new(Text chunk, bool is_first, bool keeps,
                                                const PieceKey& key, Workspace& work, IdBuffer& ids,
                                                double& score) const {
  const std::size_t before = ids.size();
  work.steps.clear();
  const double limit = encode_parts(chunk, is_first, work, ids, score);
  const std::uint32_t* kept = ids.data() + before;
  std::size_t count = ids.size() - before;
  keeps = keeps && count > 0;
  if constexpr (kScored) {
    keeps = keeps && limit > 0;
    work.steps.push_back(std::bit_cast<std::uint32_t>(static_cast<float>(0.99999 * limit)));
    kept = work.steps.data();
    count = work.steps.size();
  }
  if (!keeps || chunk.size() > PieceCache::kMaxPiece) return;
  if (count <= std::max<std::size_t>(chunk.size(), PieceCache::kRoom)) {
    work.cache.insert(key, chunk.data(), chunk.size(), kept, count);
  }
}

// As encode_pieces.cpp has it: a batch of chunks at a time, prefetched, copied without a branch
// that depends on the text.
template <bool kScored>
void ChunkEncoder::encode_chunks(Text text, Workspace& work, IdBuffer& ids) const {
  const std::uint8_t* ends[kBatch + 1];
  PieceKey keys[kBatch];
  const PieceCache::Slot* slots[kBatch];
  const std::uint8_t* end = text.data() + text.size();
  const PieceCache& cache = work.cache;
  double score = 0;
  ends[0] = text.data();
  while (ends[0] < end) {
    const std::size_t count = scanner_.scan(ends[0], end, ends + 1, kBatch);
    for (std::size_t i = 0; i < count; ++i) {
      keys[i] = make_piece_key(ends[i], static_cast<std::size_t>(ends[i + 1] - ends[i]), end);
      if (ends[i] == text.data()) keys[i].high ^= kFirstFlag;
      slots[i] = cache.home(keys[i].hash());
      __builtin_prefetch(slots[i]);
    }
    for (std::size_t i = 0; i < count; ++i) {
      slots[i] += slots[i]->key == keys[i] ? 0 : 1;
      cache.prefetch_ids(*slots[i]);
    }
    for (std::size_t i = 0; i < count; ++i) {
      const auto size = static_cast<std::size_t>(ends[i + 1] - ends[i]);
      // Perhaps a chunk before it in the batch was the same, and new.
      if (slots[i]->key != keys[i]) [[unlikely]] {
        slots[i] = cache.home(keys[i].hash());
      }
      const PieceCache::Slot& slot = *slots[i];
      const bool is_known = slot.key == keys[i];
      std::size_t copied = 0;
      if (is_known) [[likely]] {
        std::uint32_t* to = ids.room(size + 2 * PieceCache::kRoom);
        copied = size <= kMaxKeyPiece            ? cache.copy_short(slot, to)
                 : size <= PieceCache::kMaxPiece ? cache.copy_long(slot, ends[i], size, to)
                                                 : 0;
        if constexpr (kScored) {
          // Steps, and then their limit.
          if (copied > 0) {
            const auto limit = std::bit_cast<float>(to[copied - 1]);
            const bool holds = std::abs(score) < static_cast<double>(limit);
            copied = holds ? scored_->replay(to, copied - 1, score, to) : 0;
          }
        }
        ids.advance(copied);
      }
      if (copied > 0) continue;
      const void* address = cache.address();
      encode_new<kScored>({ends[i], size}, ends[i] == text.data(), !is_known, keys[i], work, ids,
                          score);
      for (std::size_t j = i + 1; j < count && cache.address() != address; ++j) {
        slots[j] = cache.home(keys[j].hash());
      }
    }
    ends[0] = ends[count];
  }
}

void ChunkEncoder::encode(Text text, Workspace& work, IdBuffer& ids) const {
  return scored_ != nullptr ? encode_chunks<true>(text, work, ids)
                            : encode_chunks<false>(text, work, ids);
}

}  // namespace llmcore::tokenizer
