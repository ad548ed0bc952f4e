// The merge loop that every BPE model shares: symbols in a row, the best open pair first, leftmost
// first among equals. Source: Sennrich et al. 2016, arXiv:1508.07909.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "tokenizer/models/merge_table.h"

namespace llmcore::tokenizer {

// Buffers of one thread.
struct MergeScratch {
  std::vector<std::uint32_t> prev, next, ranks, first_ranks, tokens, widths;
  std::vector<std::uint64_t> heap, skipped;
  std::uint64_t num_steps = 0;  // symbols taken up and pairs tried: the work done, for tests
};

struct Merge {
  std::uint32_t left = 0, right = 0, merged = 0;
};

// Uniform numbers from a seed (SplitMix64; Steele et al. 2014).
class DropoutRng {
 public:
  explicit DropoutRng(std::uint64_t seed = 0) : state_(seed) {}
  // True with probability p.
  bool drop(double p) {
    std::uint64_t z = (state_ += 0x9E3779B97F4A7C15ull);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
    z ^= z >> 31;
    return static_cast<double>(z >> 11) * 0x1p-53 < p;
  }

 private:
  std::uint64_t state_;
};

// What happens to a pair that dropout passed over.
enum class Dropped : std::uint8_t {
  kReturns,  // until the next merge, as in Hugging Face tokenizers
  kIsGone    // for good, as in sentencepiece
};

// Told of every pair that can merge, when its two symbols come to stand side by side.
using MergeWatch =
    std::function<void(std::uint32_t left, std::uint32_t right, std::uint32_t merged)>;

class MergeRules {
 public:
  void reserve(std::size_t num_merges);
  // Best first. A later merge of the same pair replaces the earlier one. `tied`: as good as the
  // merge before it, so that of the two the one further left comes first.
  void add(Merge merge, bool tied = false);
  std::size_t size() const { return merged_.size(); }
  std::uint32_t find(std::uint32_t left, std::uint32_t right) const {
    return table_.find(left, right);
  }
  std::uint32_t merged(std::uint32_t rank) const { return merged_[rank]; }

  // Merges ids[0, size) in place and returns how many are left. `lens`, where given, holds the
  // length of each symbol and becomes that of each token. O(size log size).
  std::size_t merge(std::uint32_t* ids, std::uint32_t* lens, std::size_t size,
                    MergeScratch& scratch) const;
  // The same where ranks of the first pairs are known: first_ranks[i] for symbols i and i + 1 (the
  // last of `size` is not used).
  std::size_t merge(std::uint32_t* ids, std::uint32_t* lens, std::size_t size,
                    const std::uint32_t* first_ranks, MergeScratch& scratch) const;
  // BPE-dropout: every merge that comes up is passed over with probability `dropout`.
  // Source: Provilkov et al. 2020, arXiv:1910.13267.
  std::size_t sample(std::uint32_t* ids, std::uint32_t* lens, std::size_t size, double dropout,
                     Dropped dropped, DropoutRng& rng, MergeScratch& scratch,
                     const MergeWatch* watch = nullptr) const;

 private:
  struct Row;
  struct Window;
  bool keeps_apart(const Row& row, std::size_t begin, std::size_t middle, std::size_t end,
                   MergeScratch& scratch) const;
  std::size_t join(const Row& row, const Window& window, Window& next, MergeScratch& scratch) const;
  std::size_t merge_windows(const Row& row, std::uint32_t* ids, std::uint32_t* lens,
                            MergeScratch& scratch) const;
  std::size_t merge_run(std::uint32_t* ids, std::uint32_t* lens, std::size_t size,
                        MergeScratch& scratch) const;
  std::size_t merge_level_run(std::uint32_t* ids, std::uint32_t* lens, std::size_t size,
                              MergeScratch& scratch) const;
  std::size_t merge_few(std::uint32_t* ids, std::uint32_t* lens, std::size_t size,
                        const std::uint32_t* first_ranks, MergeScratch& scratch) const;
  template <std::size_t kLanes>
  std::size_t merge_short(std::uint32_t* ids, std::uint32_t* lens, std::size_t size,
                          const std::uint32_t* first_ranks, MergeScratch& scratch) const;
  std::size_t merge_long(std::uint32_t* ids, std::uint32_t* lens, std::size_t size,
                         MergeScratch& scratch) const;
  // Merges of equal order are equally good; kNoRank stays so.
  std::uint32_t order(std::uint32_t rank) const {
    return ties_.empty() || rank == kNoRank ? rank : ties_[rank];
  }
  std::uint64_t key(std::uint32_t rank, std::uint32_t at) const {
    return static_cast<std::uint64_t>(order(rank)) << 32 | at;
  }
  void link(std::uint32_t size, MergeScratch& scratch) const;
  void fuse(std::uint32_t at, std::uint32_t* ids, std::uint32_t* lens, MergeScratch& scratch,
            const MergeWatch* watch) const;

  MergeTable table_;
  std::vector<std::uint32_t> merged_;
  std::vector<std::uint32_t> ties_;  // first rank that is as good; empty where all differ
};

}  // namespace llmcore::tokenizer
