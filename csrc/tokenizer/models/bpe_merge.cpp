#include "tokenizer/models/bpe_merge.h"

#include <algorithm>
#include <functional>
#include <limits>
#include <numeric>

namespace llmcore::tokenizer {
namespace {

constexpr std::size_t kShortPiece = 128;

std::uint64_t pop(std::vector<std::uint64_t>& heap) {
  std::pop_heap(heap.begin(), heap.end(), std::greater<>());
  const std::uint64_t top = heap.back();
  heap.pop_back();
  return top;
}

void push(std::vector<std::uint64_t>& heap, std::uint64_t key) {
  heap.push_back(key);
  std::push_heap(heap.begin(), heap.end(), std::greater<>());
}

// Closes the gaps that merges left between symbols.
template <typename Next>
std::size_t pack_symbols(std::uint32_t* ids, std::uint32_t* lens, std::size_t size,
                         const Next& next) {
  std::size_t count = 0;
  for (std::size_t i = 0; i < size; i = next(i)) {
    if (lens != nullptr) lens[count] = lens[i];
    ids[count++] = ids[i];
  }
  return count;
}

}  // namespace

void MergeRules::reserve(std::size_t num_merges) {
  table_.reserve(num_merges);
  merged_.reserve(num_merges);
}

void MergeRules::add(Merge merge, bool tied) {
  const auto rank = static_cast<std::uint32_t>(merged_.size());
  if (tied && ties_.empty()) {
    ties_.resize(rank);
    std::iota(ties_.begin(), ties_.end(), 0u);
  }
  if (!ties_.empty()) ties_.push_back(tied ? ties_.back() : rank);
  table_.insert(merge.left, merge.right, rank);
  merged_.push_back(merge.merged);
}

std::size_t MergeRules::merge(std::uint32_t* ids, std::uint32_t* lens, std::size_t size,
                              MergeScratch& scratch) const {
  if (size < 2) return size;
  if (size <= kShortPiece && ties_.empty()) {
    std::uint32_t first_ranks[kShortPiece];
    for (std::size_t i = 0; i + 1 < size; ++i) first_ranks[i] = find(ids[i], ids[i + 1]);
    return merge_short(ids, lens, size, first_ranks, scratch);
  }
  scratch.ranks.resize(size);
  for (std::size_t i = 0; i + 1 < size; ++i) scratch.ranks[i] = find(ids[i], ids[i + 1]);
  return merge_long(ids, lens, size, scratch);
}

std::size_t MergeRules::merge(std::uint32_t* ids, std::uint32_t* lens, std::size_t size,
                              const std::uint32_t* first_ranks, MergeScratch& scratch) const {
  if (size < 2) return size;
  if (size <= kShortPiece && ties_.empty()) {
    return merge_short(ids, lens, size, first_ranks, scratch);
  }
  scratch.ranks.assign(first_ranks, first_ranks + size);
  return merge_long(ids, lens, size, scratch);
}

// Symbols stay where they began. Each open pair is rank * 128 + position in one number, so that the
// next merge is a plain minimum, which the compiler vectorises.
std::size_t MergeRules::merge_short(std::uint32_t* ids, std::uint32_t* lens, std::size_t size,
                                    const std::uint32_t* first_ranks, MergeScratch& scratch) const {
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
    open[i] = i + 1 < size ? pack(first_ranks[i], i) : kNone;
  }
  scratch.num_steps += size;
  for (;;) {
    std::int32_t best = kNone;
    for (std::size_t i = 0; i < size; ++i) best = std::min(best, open[i]);
    if (best == kNone) break;
    scratch.num_steps += size;
    const std::size_t i = best & 127;
    const std::size_t gone = next[i];
    const std::size_t after = next[gone];
    ids[i] = merged_[static_cast<std::uint32_t>(best) >> 7];
    if (lens != nullptr) lens[i] += lens[gone];
    open[gone] = kNone;
    next[i] = static_cast<std::uint8_t>(after);
    prev[after] = static_cast<std::uint8_t>(i);
    open[i] = after < size ? pack(find(ids[i], ids[after]), i) : kNone;
    if (i > 0) open[prev[i]] = pack(find(ids[prev[i]], ids[i]), prev[i]);
  }
  return pack_symbols(ids, lens, size, [&](std::size_t i) { return next[i]; });
}

void MergeRules::link(std::uint32_t size, MergeScratch& scratch) const {
  scratch.prev.resize(size);
  scratch.next.resize(size);
  scratch.ranks[size - 1] = kNoRank;
  scratch.heap.clear();
  for (std::uint32_t i = 0; i < size; ++i) {
    scratch.prev[i] = i - 1;
    scratch.next[i] = i + 1;
    if (scratch.ranks[i] != kNoRank) scratch.heap.push_back(key(scratch.ranks[i], i));
  }
  std::make_heap(scratch.heap.begin(), scratch.heap.end(), std::greater<>());
  scratch.num_steps += size;
}

// Merges the symbol at `at` with the one after it and opens the two new pairs.
void MergeRules::fuse(std::uint32_t at, std::uint32_t* ids, std::uint32_t* lens,
                      MergeScratch& scratch, const MergeWatch* watch) const {
  const auto size = static_cast<std::uint32_t>(scratch.next.size());
  std::uint32_t* ranks = scratch.ranks.data();
  const std::uint32_t gone = scratch.next[at];
  const std::uint32_t after = scratch.next[gone];
  const auto open = [&](std::uint32_t left, std::uint32_t right) {
    ranks[left] = find(ids[left], ids[right]);
    if (ranks[left] == kNoRank) return;
    push(scratch.heap, key(ranks[left], left));
    if (watch != nullptr) (*watch)(ids[left], ids[right], merged_[ranks[left]]);
  };
  ids[at] = merged_[ranks[at]];
  if (lens != nullptr) lens[at] += lens[gone];
  ranks[gone] = ranks[at] = kNoRank;
  scratch.next[at] = after;
  if (at > 0) open(scratch.prev[at], at);
  if (after < size) {
    scratch.prev[after] = at;
    open(at, after);
  }
}

// Linked list of symbols under a heap of (rank, position); stale entries are dropped when popped.
std::size_t MergeRules::merge_long(std::uint32_t* ids, std::uint32_t* lens, std::size_t size,
                                   MergeScratch& scratch) const {
  link(static_cast<std::uint32_t>(size), scratch);
  while (!scratch.heap.empty()) {
    const std::uint64_t top = pop(scratch.heap);
    ++scratch.num_steps;
    const auto at = static_cast<std::uint32_t>(top);
    if (scratch.ranks[at] == kNoRank || key(scratch.ranks[at], at) != top) continue;
    fuse(at, ids, lens, scratch, nullptr);
  }
  return pack_symbols(ids, lens, size, [&](std::size_t i) { return scratch.next[i]; });
}

std::size_t MergeRules::sample(std::uint32_t* ids, std::uint32_t* lens, std::size_t size,
                               double dropout, Dropped dropped, DropoutRng& rng,
                               MergeScratch& scratch, const MergeWatch* watch) const {
  if (size < 2) return size;
  scratch.ranks.resize(size);
  for (std::size_t i = 0; i + 1 < size; ++i) scratch.ranks[i] = find(ids[i], ids[i + 1]);
  link(static_cast<std::uint32_t>(size), scratch);
  scratch.skipped.clear();
  for (std::size_t i = 0; watch != nullptr && i + 1 < size; ++i) {
    if (scratch.ranks[i] != kNoRank) (*watch)(ids[i], ids[i + 1], merged_[scratch.ranks[i]]);
  }
  while (!scratch.heap.empty()) {
    const std::uint64_t top = pop(scratch.heap);
    ++scratch.num_steps;
    const auto at = static_cast<std::uint32_t>(top);
    const bool open = scratch.ranks[at] != kNoRank && key(scratch.ranks[at], at) == top;
    if (dropped == Dropped::kIsGone) {
      if (open && !rng.drop(dropout)) fuse(at, ids, lens, scratch, watch);
      continue;
    }
    if (rng.drop(dropout)) {
      scratch.skipped.push_back(top);
      continue;
    }
    for (const std::uint64_t k : scratch.skipped) push(scratch.heap, k);
    scratch.skipped.clear();
    if (open) fuse(at, ids, lens, scratch, watch);
  }
  return pack_symbols(ids, lens, size, [&](std::size_t i) { return scratch.next[i]; });
}

}  // namespace llmcore::tokenizer
