#include "tokenizer/models/bpe_merge.h"

#include <algorithm>
#include <functional>
#include <limits>
#include <numeric>

namespace llmcore::tokenizer {
namespace {

constexpr std::size_t kShortPiece = 128;
constexpr std::size_t kWindow = 32;
constexpr std::size_t kMostTries = 6;
static_assert(2 * kWindow <= kShortPiece);

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

struct MergeRules::Row {
  const std::uint32_t *ids, *first_ranks;
  std::size_t size;
};

// One window of a long row: the tokens of symbols [begin, begin + width) on their own.
struct MergeRules::Window {
  std::uint32_t ids[kShortPiece], lens[kShortPiece];
  std::size_t begin = 0, width = 0, count = 0;

  void merge(const MergeRules& rules, const Row& row, std::size_t at, std::size_t num_symbols,
             MergeScratch& scratch) {
    begin = at;
    width = num_symbols;
    std::copy_n(row.ids + at, width, ids);
    std::fill_n(lens, width, 1u);
    count = rules.merge(ids, lens, width, row.first_ranks + at, scratch);
  }
};

std::size_t MergeRules::merge(std::uint32_t* ids, std::uint32_t* lens, std::size_t size,
                              MergeScratch& scratch) const {
  if (size < 2) return size;
  std::uint32_t few[kShortPiece];
  std::uint32_t* first_ranks = few;
  if (size > kShortPiece) {
    scratch.first_ranks.resize(size);
    first_ranks = scratch.first_ranks.data();
  }
  for (std::size_t i = 0; i + 1 < size; ++i) first_ranks[i] = find(ids[i], ids[i + 1]);
  first_ranks[size - 1] = kNoRank;
  return merge(ids, lens, size, first_ranks, scratch);
}

std::size_t MergeRules::merge(std::uint32_t* ids, std::uint32_t* lens, std::size_t size,
                              const std::uint32_t* first_ranks, MergeScratch& scratch) const {
  if (size < 2) return size;
  if (size > kShortPiece) {
    if (const std::size_t count = merge_run(ids, lens, size, scratch)) return count;
    if (const std::size_t count = merge_level_run(ids, lens, size, scratch)) return count;
  }
  if (ties_.empty()) {
    if (size <= kShortPiece) return merge_few(ids, lens, size, first_ranks, scratch);
    const std::size_t count = merge_windows({ids, first_ranks, size}, ids, lens, scratch);
    if (count > 0) return count;
  }
  scratch.ranks.assign(first_ranks, first_ranks + size);
  return merge_long(ids, lens, size, scratch);
}

// Whether the tokens of symbols [begin, middle) and [middle, end) stay apart side by side.
bool MergeRules::keeps_apart(const Row& row, std::size_t begin, std::size_t middle, std::size_t end,
                             MergeScratch& scratch) const {
  if (end - begin > kShortPiece) return false;
  Window both;
  both.merge(*this, row, begin, end - begin, scratch);
  return both.count == 2 && both.lens[0] == middle - begin;
}

// How many of the window's tokens to take, so that the next window, which this makes, can begin
// after them: its first token and the last one taken stay apart. 0 if no place near the end will
// do.
std::size_t MergeRules::join(const Row& row, const Window& window, Window& next,
                             MergeScratch& scratch) const {
  std::size_t kept = window.count, end = window.begin + window.width;
  const std::size_t most = window.begin + window.width * 3 / 4;
  while (kept > 0 && end > most) end -= window.lens[--kept];
  for (std::size_t tries = 0; kept > 0 && tries < kMostTries; ++tries) {
    next.merge(*this, row, end, std::min(kWindow, row.size - end), scratch);
    const std::size_t before = end - window.lens[kept - 1];
    if (keeps_apart(row, before, end, end + next.lens[0], scratch)) return kept;
    end = before;
    --kept;
  }
  return 0;
}

// A long row in short windows: tokens whose neighbours, two by two, stay apart are the row's tokens
// (the first merge across one of their borders would also come first in those two alone). A window
// that cannot be joined to the next is made wider; where that fails, 0: merge_long then.
std::size_t MergeRules::merge_windows(const Row& row, std::uint32_t* ids, std::uint32_t* lens,
                                      MergeScratch& scratch) const {
  std::vector<std::uint32_t>& tokens = scratch.tokens;
  std::vector<std::uint32_t>& widths = scratch.widths;
  tokens.clear();
  widths.clear();
  Window windows[2];
  Window *window = &windows[0], *next = &windows[1];
  window->merge(*this, row, 0, kWindow, scratch);
  for (;;) {
    const bool is_last = window->begin + window->width == row.size;
    const std::size_t kept = is_last ? window->count : join(row, *window, *next, scratch);
    if (kept == 0) {
      if (window->width == kShortPiece) return 0;
      const std::size_t at = window->begin;
      window->merge(*this, row, at, std::min(kShortPiece, row.size - at), scratch);
      const bool fits =
          widths.empty() || keeps_apart(row, at - widths.back(), at, at + window->lens[0], scratch);
      if (!fits) return 0;
      continue;
    }
    tokens.insert(tokens.end(), window->ids, window->ids + kept);
    widths.insert(widths.end(), window->lens, window->lens + kept);
    if (is_last) break;
    std::swap(window, next);
  }
  std::copy(tokens.begin(), tokens.end(), ids);
  for (std::size_t i = 0, at = 0; lens != nullptr && i < widths.size(); at += widths[i++]) {
    lens[i] = std::accumulate(lens + at, lens + at + widths[i], 0u);
  }
  return tokens.size();
}

// Symbols stay where they began. Each open pair is rank * 128 + position in one number, so that the
// next merge is a plain minimum.
template <std::size_t kLanes>
std::size_t MergeRules::merge_short(std::uint32_t* ids, std::uint32_t* lens, std::size_t size,
                                    const std::uint32_t* first_ranks, MergeScratch& scratch) const {
  constexpr std::int32_t kNone = std::numeric_limits<std::int32_t>::max();
  static_assert(kLanes <= 128 && kMaxMerges < 1u << 24);
  alignas(64) std::int32_t open[kLanes];
  std::uint8_t next[kLanes + 1], prev[kLanes + 1];
  const auto pack = [](std::uint32_t rank, std::size_t at) {
    return rank == kNoRank ? kNone : static_cast<std::int32_t>(rank << 7 | at);
  };
  for (std::size_t i = 0; i < kLanes; ++i) {
    next[i] = static_cast<std::uint8_t>(i + 1);
    prev[i + 1] = static_cast<std::uint8_t>(i);
    open[i] = kNone;
  }
  for (std::size_t i = 0; i + 1 < size; ++i) open[i] = pack(first_ranks[i], i);
  scratch.num_steps += size;
  // Minima of eight lanes each. Plain loads: a vector load right after a store to one of its lanes
  // would wait for that store to leave the core.
  std::int32_t least[kLanes / 8];
  const auto refresh = [&](std::size_t lane) {
    const std::int32_t* o = open + (lane & ~std::size_t{7});
    least[lane / 8] = std::min(std::min(std::min(o[0], o[1]), std::min(o[2], o[3])),
                               std::min(std::min(o[4], o[5]), std::min(o[6], o[7])));
  };
  for (std::size_t i = 0; i < kLanes; i += 8) refresh(i);
  for (;;) {
    std::int32_t best = least[0];
    for (std::size_t i = 1; i < kLanes / 8; ++i) best = std::min(best, least[i]);
    if (best == kNone) break;
    ++scratch.num_steps;
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
    refresh(i);
    refresh(gone);
    if (i > 0) refresh(prev[i]);
  }
  return pack_symbols(ids, lens, size, [&](std::size_t i) { return next[i]; });
}

std::size_t MergeRules::merge_few(std::uint32_t* ids, std::uint32_t* lens, std::size_t size,
                                  const std::uint32_t* first_ranks, MergeScratch& scratch) const {
  if (size <= 8) return merge_short<8>(ids, lens, size, first_ranks, scratch);
  if (size <= 16) return merge_short<16>(ids, lens, size, first_ranks, scratch);
  if (size <= 32) return merge_short<32>(ids, lens, size, first_ranks, scratch);
  if (size <= 64) return merge_short<64>(ids, lens, size, first_ranks, scratch);
  return merge_short<kShortPiece>(ids, lens, size, first_ranks, scratch);
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
