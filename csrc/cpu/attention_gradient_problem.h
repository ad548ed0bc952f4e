// The backward of attention as its kernel sees it: the problem, its sequences, their tiles and the
// turns in which blocks of keys add to dq.
#pragma once

#include <sched.h>

#include <cstdint>

#include "cpu/attention_gradient_tiles.h"
#include "cpu/attention_mask.h"
#include "cpu/attention_scratch.h"
#include "ops/attention.h"

namespace llmcore::cpu::LLMCORE_ISA::gradient {

static_assert(kTile == kAttentionKeyBlock);
constexpr int64_t kMaxStrip = 4;

inline void clear(float* p, int64_t floats) {
  __builtin_memset(p, 0, static_cast<size_t>(floats) * sizeof(float));
}

// Where the gradient of the bias is gathered.
enum class BiasSum { kNone, kElements, kRows, kKeys };

struct Problem {
  const AttentionBackwardArgs& args;
  const AttentionArgs& forward;
  AttentionScratch at;
  float* scratch;  // on a cache line
  BiasSum bias_sum;
  // delta from the probabilities: where `out` is rounded to 16 bits, delta from it is too coarse
  // for the gradients of sinks, which have no other term.
  bool sums_deltas;
  bool merges_batch, merges_heads;  // units that add to the same elements of dbias are one

  int64_t group() const { return forward.num_heads / forward.num_kv_heads; }
};

inline BiasSum bias_sum_of(const AttentionBackwardArgs& args) {
  if (args.dbias == nullptr) return BiasSum::kNone;
  if (args.dbias_key_stride == 0) return BiasSum::kRows;
  return args.dbias_query_stride == 0 ? BiasSum::kKeys : BiasSum::kElements;
}

inline Problem problem_of(const AttentionBackwardArgs& args) {
  const auto address = reinterpret_cast<uintptr_t>(args.scratch);
  float* scratch = args.scratch + (64 - address % 64) % 64 / 4;
  const BiasSum sum = bias_sum_of(args);
  const bool elements = sum == BiasSum::kElements;
  return {args,
          args.forward,
          attention_scratch(args.forward, args.num_threads),
          scratch,
          sum,
          args.forward.sinks != nullptr && (args.dsinks != nullptr || sum == BiasSum::kRows),
          elements && args.dbias_batch_stride == 0,
          elements && args.dbias_head_stride == 0};
}

// --- one sequence --------------------------------------------------------------------------------

struct Sequence {
  int64_t index;
  PairRules rules;
  int64_t query_token, key_token;  // first tokens of a packed sequence, else 0
  int64_t batch;                   // index of an unpacked one, else 0
  int64_t first_row;               // of head 0 in lse and delta
  int64_t row_stride;              // from head to head there
  int64_t first_tile;              // of head 0 in what is kept per tile
  int64_t strip;                   // blocks of keys that a unit takes together

  int64_t num_tiles() const { return divide_up(rules.num_queries, kTile); }
  int64_t num_blocks() const { return divide_up(rules.num_keys, kTile); }
  int64_t num_strips() const { return divide_up(num_blocks(), strip); }

  int64_t query_at(const HeadStrides& strides, int64_t head, int64_t query) const {
    return batch * strides.batch + head * strides.head + (query_token + query) * strides.token;
  }
  int64_t key_at(const HeadStrides& strides, int64_t head, int64_t key) const {
    return batch * strides.batch + head * strides.head + (key_token + key) * strides.token;
  }
};

// The more blocks a unit takes together, the more products share a packed tile of queries; at least
// two strips are left for two threads. A function of the shape of this sequence alone.
inline int64_t strip_of(const Problem& problem, int64_t num_keys) {
  int64_t strip = problem.at.max_strip;
  while (strip > 1 && 2 * strip > divide_up(num_keys, kTile)) strip /= 2;
  return strip;
}

inline Sequence sequence_of(const Problem& problem, int64_t index) {
  const AttentionArgs& forward = problem.forward;
  const PairRules rules = pair_rules(forward, index);
  const int64_t tile = attention_first_tile(forward, index);
  const int64_t strip = strip_of(problem, rules.num_keys);
  if (forward.cu_seqlens_q != nullptr) {
    const int64_t token = forward.cu_seqlens_q[index];
    return {index,           rules, token, forward.cu_seqlens_k[index], 0, token,
            problem.at.rows, tile,  strip};
  }
  const int64_t row = index * forward.num_heads * forward.num_queries;
  return {index, rules, 0, 0, index, row, forward.num_queries, tile, strip};
}

struct Tile {
  int64_t begin, count;
};

inline Tile query_tile(const Sequence& sequence, int64_t tile) {
  const int64_t begin = tile * kTile;
  return {begin, at_most(kTile, sequence.rules.num_queries - begin)};
}

inline Tile key_block(const Sequence& sequence, int64_t block) {
  const int64_t begin = block * kTile;
  return {begin, at_most(kTile, sequence.rules.num_keys - begin)};
}

inline BlockKind kind_at(const Sequence& sequence, int64_t tile, int64_t block) {
  const Tile queries = query_tile(sequence, tile), keys = key_block(sequence, block);
  return block_kind(sequence.rules, queries.begin, queries.begin + queries.count, keys.begin,
                    keys.begin + keys.count);
}

// First strip from `strip` on of which the tile keeps anything, or -1.
inline int64_t next_kept_strip(const Sequence& sequence, int64_t tile, int64_t strip) {
  const Tile queries = query_tile(sequence, tile);
  int64_t end = sequence.num_blocks();
  if (sequence.rules.causal) {
    const int64_t last = position_of(sequence.rules, queries.begin + queries.count - 1);
    end = at_most(end, divide_up(at_least(last + 1, sequence.rules.prefix_len), kTile));
  }
  for (int64_t block = strip * sequence.strip; block < end; ++block) {
    if (kind_at(sequence, tile, block) != BlockKind::kSkip) return block / sequence.strip;
  }
  return -1;
}

// --- turns ---------------------------------------------------------------------------------------
// Per (head, tile): the strip whose share of dq comes next; ~strip if it is the first one.

inline int32_t* turn_of(const Problem& problem, const Sequence& sequence, int64_t head,
                        int64_t tile) {
  float* first = problem.scratch + problem.at.next_strips;
  return reinterpret_cast<int32_t*>(first) + head * problem.at.tiles + sequence.first_tile + tile;
}

inline void pause_thread(int64_t waited) {
#if defined(__SSE2__)
  _mm_pause();
#endif
  if (waited % 256 == 255) sched_yield();
}

// Returns whether no share has been added yet.
inline bool wait_for_turn(const int32_t* turn, int64_t strip) {
  for (int64_t waited = 0;; ++waited) {
    const int32_t now = __atomic_load_n(turn, __ATOMIC_ACQUIRE);
    if (now == strip) return false;
    if (now == ~strip) return true;
    pause_thread(waited);
  }
}

}  // namespace llmcore::cpu::LLMCORE_ISA::gradient
