#include "tokenizer/models/bpe_model.h"

#include <algorithm>
#include <functional>
#include <limits>

#include "tokenizer/errors.h"
#include "tokenizer/models/byte_alphabet.h"

namespace llmcore::tokenizer {
namespace {

constexpr std::size_t kShortPiece = 128;

std::string quote(std::string_view text) {
  return "\"" + std::string(text.substr(0, 64)) + "\"";
}

}  // namespace

BpeModel::BpeModel(const std::vector<std::string_view>& tokens,
                   const std::vector<std::pair<std::string_view, std::string_view>>& merges,
                   std::vector<AddedToken> added, bool ignore_merges)
    : added_(std::move(added)), ignore_merges_(ignore_merges) {
  add_tokens(tokens);
  add_merges(merges);
}

void BpeModel::add_tokens(const std::vector<std::string_view>& tokens) {
  if (tokens.size() >= kMaxTokens) {
    throw DataError("tokenizer: model.vocab must hold fewer than " + std::to_string(kMaxTokens) +
                    " tokens, got " + std::to_string(tokens.size()));
  }
  texts_.assign(tokens.begin(), tokens.end());
  std::vector<const AddedToken*> added_by_id(tokens.size(), nullptr);
  for (const AddedToken& token : added_) added_by_id.at(token.id) = &token;
  ids_by_text_.reserve(tokens.size());
  starts_.assign(1, 0);
  std::string bytes;
  for (std::uint32_t id = 0; id < texts_.size(); ++id) {
    if (!ids_by_text_.emplace(texts_[id], id).second) {
      throw DataError("tokenizer: token " + quote(texts_[id]) + " must have one id, got two");
    }
    const bool literal = added_by_id[id] != nullptr || !text_to_bytes(texts_[id], bytes);
    bytes_ += literal ? texts_[id] : bytes;
    starts_.push_back(bytes_.size());
  }
  for (unsigned b = 0; b < 256; ++b) {
    const char byte = static_cast<char>(b);
    byte_ids_[b] = find_text(bytes_to_text({&byte, 1}));
    complete_alphabet_ = complete_alphabet_ && byte_ids_[b] != kNoRank;
  }
  if (!ignore_merges_) return;
  for (std::uint32_t id = 0; id < texts_.size(); ++id) {
    if (added_by_id[id] == nullptr) ids_by_bytes_.emplace(token_bytes(id), id);
  }
}

void BpeModel::add_merges(
    const std::vector<std::pair<std::string_view, std::string_view>>& merges) {
  if (merges.size() >= kMaxMerges) {
    throw DataError("tokenizer: model.merges must hold fewer than " + std::to_string(kMaxMerges) +
                    " merges, got " + std::to_string(merges.size()));
  }
  ranks_.reserve(merges.size());
  merges_.reserve(merges.size());
  merged_id_.reserve(merges.size());
  std::string joined;
  for (std::uint32_t rank = 0; rank < merges.size(); ++rank) {
    const auto id_of = [&](std::string_view text) {
      const std::uint32_t id = find_text(text);
      if (id == kNoRank) {
        throw DataError("tokenizer: merge " + std::to_string(rank) +
                        " must name tokens of model.vocab, got " + quote(text));
      }
      return id;
    };
    joined.assign(merges[rank].first).append(merges[rank].second);
    merges_.emplace_back(id_of(merges[rank].first), id_of(merges[rank].second));
    merged_id_.push_back(id_of(joined));
    ranks_.insert(merges_.back().first, merges_.back().second, rank);
  }
  byte_pair_rank_.assign(256 * 256, kNoRank);
  for (unsigned a = 0; a < 256; ++a) {
    for (unsigned b = 0; b < 256; ++b) {
      if (byte_ids_[a] == kNoRank || byte_ids_[b] == kNoRank) continue;
      byte_pair_rank_[a * 256 + b] = ranks_.find(byte_ids_[a], byte_ids_[b]);
    }
  }
}

std::uint32_t BpeModel::find_text(std::string_view text) const {
  const auto it = ids_by_text_.find(text);
  return it == ids_by_text_.end() ? kNoRank : it->second;
}

void BpeModel::load_bytes(const std::uint8_t* piece, std::size_t size, std::uint32_t* ids) const {
  for (std::size_t i = 0; i < size; ++i) ids[i] = byte_ids_[piece[i]];
  if (complete_alphabet_) return;
  for (std::size_t i = 0; i < size; ++i) {
    if (ids[i] == kNoRank) {
      throw DataError("encode: every byte must have a token, got byte " + std::to_string(piece[i]) +
                      " that this vocabulary lacks");
    }
  }
}

std::size_t BpeModel::encode_piece(const std::uint8_t* piece, std::size_t size, std::uint32_t* out,
                                   MergeScratch& scratch) const {
  if (ignore_merges_) {
    const auto it = ids_by_bytes_.find({reinterpret_cast<const char*>(piece), size});
    if (it != ids_by_bytes_.end()) {
      out[0] = it->second;
      return 1;
    }
  }
  load_bytes(piece, size, out);
  if (size < 2) return size;
  scratch.num_steps += size;
  return size <= kShortPiece ? merge_short(piece, out, size, scratch)
                             : merge_long(piece, out, size, scratch);
}

// Symbols stay where their first byte is. Each open pair is rank * 128 + position in one number, so
// that the next merge is a plain minimum, which the compiler vectorises.
std::size_t BpeModel::merge_short(const std::uint8_t* piece, std::uint32_t* ids, std::size_t size,
                                  MergeScratch& scratch) const {
  constexpr std::int32_t kNone = std::numeric_limits<std::int32_t>::max();
  static_assert(kShortPiece == 128 && kMaxMerges < 1u << 24);
  std::int32_t open[kShortPiece];
  std::uint8_t next[kShortPiece + 1], prev[kShortPiece + 1];
  const auto pack = [](std::uint32_t rank, std::size_t at) {
    return rank == kNoRank ? kNone : static_cast<std::int32_t>(rank << 7 | at);
  };
  for (std::size_t i = 0; i < size; ++i) {
    next[i] = static_cast<std::uint8_t>(i + 1);
    prev[i + 1] = static_cast<std::uint8_t>(i);
    open[i] = i + 1 < size ? pack(byte_pair_rank_[piece[i] * 256u + piece[i + 1]], i) : kNone;
  }
  for (;;) {
    std::int32_t best = kNone;
    for (std::size_t i = 0; i < size; ++i) best = std::min(best, open[i]);
    if (best == kNone) break;
    scratch.num_steps += size;
    const std::size_t i = best & 127;
    const std::size_t gone = next[i];
    const std::size_t after = next[gone];
    ids[i] = merged_id_[static_cast<std::uint32_t>(best) >> 7];
    open[gone] = kNone;
    next[i] = static_cast<std::uint8_t>(after);
    prev[after] = static_cast<std::uint8_t>(i);
    open[i] = after < size ? pack(ranks_.find(ids[i], ids[after]), i) : kNone;
    if (i > 0) open[prev[i]] = pack(ranks_.find(ids[prev[i]], ids[i]), prev[i]);
  }
  std::size_t count = 0;
  for (std::size_t i = 0; i < size; i = next[i]) ids[count++] = ids[i];
  return count;
}

// Linked list of symbols under a heap of (rank, position); stale entries are dropped when popped.
std::size_t BpeModel::merge_long(const std::uint8_t* piece, std::uint32_t* ids, std::size_t size,
                                 MergeScratch& scratch) const {
  const auto last = static_cast<std::uint32_t>(size - 1);
  scratch.ranks.resize(size);
  std::uint32_t* ranks = scratch.ranks.data();
  ranks[last] = kNoRank;
  scratch.prev.resize(size);
  scratch.next.resize(size);
  std::uint32_t* prev = scratch.prev.data();
  std::uint32_t* next = scratch.next.data();
  std::vector<std::uint64_t>& heap = scratch.heap;
  heap.clear();
  for (std::uint32_t i = 0; i <= last; ++i) {
    prev[i] = i - 1;
    next[i] = i + 1;
    if (i < last) ranks[i] = byte_pair_rank_[piece[i] * 256u + piece[i + 1]];
    if (ranks[i] != kNoRank) heap.push_back(static_cast<std::uint64_t>(ranks[i]) << 32 | i);
  }
  std::make_heap(heap.begin(), heap.end(), std::greater<>());
  const auto update = [&](std::uint32_t i, std::uint32_t right) {
    ranks[i] = ranks_.find(ids[i], ids[right]);
    if (ranks[i] == kNoRank) return;
    heap.push_back(static_cast<std::uint64_t>(ranks[i]) << 32 | i);
    std::push_heap(heap.begin(), heap.end(), std::greater<>());
  };
  while (!heap.empty()) {
    std::pop_heap(heap.begin(), heap.end(), std::greater<>());
    const std::uint64_t top = heap.back();
    heap.pop_back();
    ++scratch.num_steps;
    const auto i = static_cast<std::uint32_t>(top);
    const auto rank = static_cast<std::uint32_t>(top >> 32);
    if (ranks[i] != rank) continue;
    const std::uint32_t gone = next[i];
    const std::uint32_t after = next[gone];
    ids[i] = merged_id_[rank];
    ranks[gone] = kNoRank;
    ranks[i] = kNoRank;
    next[i] = after;
    if (after <= last) {
      prev[after] = i;
      update(i, after);
    }
    if (i > 0) update(prev[i], i);
  }
  std::size_t count = 0;
  for (std::uint32_t i = 0; i <= last; i = next[i]) ids[count++] = ids[i];
  return count;
}

}  // namespace llmcore::tokenizer
