#include "tokenizer/pipeline/chunk_encoder.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <string>
#include <string_view>

#include "tokenizer/errors.h"
#include "tokenizer/pipeline/piece_types.h"

namespace llmcore::tokenizer {
namespace {

constexpr std::size_t kBatch = 128;
constexpr std::string_view kMark = "\xE2\x96\x81";  // U+2581

// Whether the model's first or last step looks at the whole text it is given.
bool looks_at_ends(const TokenizerSpec& spec) {
  const BpeOptions& bpe = spec.bpe;
  return spec.kind == ModelKind::kWordPiece ||
         (spec.kind == ModelKind::kBpe &&
          (bpe.ignore_merges || spec.spelling != Spelling::kText ||
           !bpe.continuing_subword_prefix.empty() || !bpe.end_of_word_suffix.empty()));
}

// Whether some token holds the mark behind a printable ASCII character, or the mark is no token.
bool may_join_at_mark(const TokenizerSpec& spec) {
  const std::vector<PieceType> types = piece_types(spec);
  bool has_mark = false;
  for (std::size_t id = 0; id < spec.tokens.size(); ++id) {
    const std::string& token = spec.tokens[id];
    if (token == kMark) {
      has_mark =
          types.empty() || types[id] == PieceType::kNormal || types[id] == PieceType::kUserDefined;
    }
    std::size_t at = token.find(kMark, 1);
    for (; at != std::string::npos; at = token.find(kMark, at + 1)) {
      if (token[at - 1] > 0x20 && token[at - 1] < 0x7F) return true;
    }
  }
  return !has_mark;
}

// Whether "x y" becomes "x", then the mark, then "y", where the space is any of `white`.
bool writes_mark(const Normalizer* normalizer, std::string_view white) {
  if (normalizer == nullptr) return false;
  AlignedText from, to;
  for (const char space : white) {
    from.start(as_text(std::string{'x', space, 'y'}), false);
    normalizer->apply(from, to);
    if (!to.view().ends_with(std::string("x") + std::string(kMark) + "y")) return false;
  }
  return true;
}

// Whether white space stays white space: a pre-tokenizer sees what the normaliser leaves of it.
bool leaves_white(const Normalizer* normalizer) {
  constexpr std::string_view kWhite = " \t\n\r";
  if (normalizer == nullptr) return true;
  AlignedText from, to;
  for (const char space : kWhite) {
    from.start(as_text(std::string{'x', space, 'y'}), false);
    normalizer->apply(from, to);
    if (to.size() != 3 || kWhite.find(to.view()[1]) == std::string_view::npos) return false;
  }
  return true;
}

}  // namespace

std::unique_ptr<const ChunkEncoder> ChunkEncoder::make(const TokenizerSpec& spec,
                                                       const ChunkParts& parts) {
  const SpaceCut cut =
      parts.normalizer == nullptr ? SpaceCut::kKept : parts.normalizer->space_cut();
  if (cut == SpaceCut::kNone) return nullptr;
  const bool parts_text =
      parts.pre_tokenizer != nullptr
          ? cut == SpaceCut::kKept && leaves_white(parts.normalizer) &&
                parts.pre_tokenizer->parts_at_spaces()
          : writes_mark(parts.normalizer, " ") && !looks_at_ends(spec) && !may_join_at_mark(spec);
  if (!parts_text) return nullptr;
  return std::unique_ptr<const ChunkEncoder>(new ChunkEncoder(parts, cut));
}

ChunkEncoder::ChunkEncoder(const ChunkParts& parts, SpaceCut cut)
    : parts_(parts), drops_space_(cut == SpaceCut::kDropped) {
  rule_.ascii_follows = drops_space_;
  rule_.any_white = parts.pre_tokenizer != nullptr ||
                    (cut == SpaceCut::kCollapsed && writes_mark(parts.normalizer, "\t\n\r"));
  if (parts.pre_tokenizer == nullptr) scored_ = dynamic_cast<const UnigramModel*>(parts.model);
}

// Normaliser, pre-tokenizer and model. Returns below which score before it the ids hold.
double ChunkEncoder::encode_parts(Text text, Workspace& work, IdBuffer& ids, double& score) const {
  work.text.start(text, false);
  if (parts_.normalizer != nullptr) {
    parts_.normalizer->apply(work.text, work.normalized);
    work.text.swap(work.normalized);
  }
  if (work.text.size() == 0) return 0;
  if (work.text.size() > UINT32_MAX) {
    throw ConfigError("encode: a text must be below 4 GiB once normalised, got " +
                      std::to_string(work.text.size()) + " bytes");
  }
  if (scored_ != nullptr) {
    return scored_->encode_stretch(work.text.text(), work.scratch, ids, score, work.steps);
  }
  work.pieces.assign(1, {0, static_cast<std::uint32_t>(work.text.size())});
  if (parts_.pre_tokenizer != nullptr) {
    parts_.pre_tokenizer->split(work.text, work.pieces, false);
  }
  for (const Piece& piece : work.pieces) {
    parts_.model->encode(work.text.text().subspan(piece.begin, piece.end - piece.begin),
                         work.scratch, ids, nullptr);
  }
  return 0;
}

// A chunk that is not in the cache, or whose remembered ids do not hold at this score.
template <bool kScored>
[[gnu::noinline]] void ChunkEncoder::encode_new(Text text, Text chunk, bool keeps,
                                                const PieceKey& key, Workspace& work, IdBuffer& ids,
                                                double& score) const {
  const std::size_t before = ids.size();
  // The first chunk of a text stands as it is: no space parts it from anything.
  const bool is_first = chunk.data() == text.data();
  const Text bare = drops_space_ && !is_first ? chunk.subspan(1) : chunk;
  work.steps.clear();
  const double limit = encode_parts(bare, work, ids, score);
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
    const std::size_t count = scan_chunks(rule_, ends[0], end, ends + 1, kBatch);
    for (std::size_t i = 0; i < count; ++i) {
      keys[i] = make_piece_key(ends[i], static_cast<std::size_t>(ends[i + 1] - ends[i]), end);
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
      if (slots[i]->key != keys[i]) [[unlikely]]
        slots[i] = cache.home(keys[i].hash());
      const PieceCache::Slot& slot = *slots[i];
      // A space at the front of the text is not one that parts it.
      const bool is_odd = drops_space_ && ends[i] == text.data() && *ends[i] == ' ';
      const bool is_known = slot.key == keys[i] && !is_odd;
      std::size_t copied = 0;
      if (is_known) [[likely]] {
        std::uint32_t* to = ids.room(size + 2 * PieceCache::kRoom);
        copied = !keys[i].is_long()              ? cache.copy_short(slot, to)
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
      const Text chunk = text.subspan(static_cast<std::size_t>(ends[i] - text.data()), size);
      encode_new<kScored>(text, chunk, !is_known && !is_odd, keys[i], work, ids, score);
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
