// One block of keys of a sequence and key/value head against every tile of queries that keeps any
// of it: dk and dv of the block, and its share of dq.
#pragma once

#include <cstdint>

#include "cpu/attention_gradient_problem.h"
#include "cpu/attention_gradient_scores.h"
#include "cpu/attention_gradient_tiles.h"
#include "cpu/attention_mask.h"

namespace llmcore::cpu::LLMCORE_ISA::gradient {

// What one thread works with; sizes in attention_scratch.cpp.
struct Worker {
  float *keys_transposed, *values_transposed, *keys;
  float *dk, *dv, *dq;
  float *q_left, *q_right, *dout_left, *dout_right;
  ScoreTiles scores;
  float *products, *dproducts;
  float* row_deltas;
};

template <class Math>
inline Worker worker_of(const Problem& problem, int64_t index) {
  const int64_t width = kTile * problem.at.width, value_width = kTile * problem.at.value_width;
  float* next = problem.scratch + problem.at.workers + index * problem.at.worker_size;
  const auto take = [&next](int64_t floats) {
    float* begin = next;
    next += floats;
    return begin;
  };
  Worker worker{};
  worker.keys_transposed = take(width);
  worker.values_transposed = take(value_width);
  worker.keys = take(width);
  worker.dk = take(width);
  worker.dv = take(value_width);
  worker.dq = take(width);
  worker.q_left = take(width);
  worker.q_right = Math::kDepth == 1 ? worker.q_left : take(width);
  worker.dout_left = take(value_width);
  worker.dout_right = Math::kDepth == 1 ? worker.dout_left : take(value_width);
  worker.scores.weights_for_keys = take(kTile * kTile);
  worker.scores.gradients_for_keys = take(kTile * kTile);
  worker.scores.gradients_for_queries =
      Math::kOneScoreForm ? worker.scores.gradients_for_keys : take(kTile * kTile);
  worker.products = take(kMicroRows * kTile);
  worker.dproducts = take(kMicroRows * kTile);
  worker.row_deltas = take(kTile);
  return worker;
}

// A key s and a query t of the tile, counted from its corner, are kept only if
// low <= s - t <= high: what causality and the window say, so that products can skip the rest.
struct Band {
  int64_t low, high;
};

inline Band band_of(const PairRules& rules, int64_t query_begin, int64_t key_begin) {
  const int64_t shift = position_of(rules, query_begin) - key_begin;
  Band band{-kTile, kTile};
  if (rules.causal && rules.prefix_len <= key_begin) band.high = shift;
  if (rules.window > 0) {
    band.low = at_least(band.low, shift - rules.window + 1);
    band.high = at_most(band.high, shift + rules.window - 1);
  }
  return {at_least(at_most(band.low, kTile), -kTile), at_least(at_most(band.high, kTile), -kTile)};
}

// A tile of queries against a block of keys.
struct Pairs {
  const Sequence* sequence;
  int64_t tile, block;
  Tile queries, keys;
  Band band;
  int64_t next_block;  // of the tile, or -1
  uint64_t kept[kTile];

  Span keys_of(int64_t query_begin, int64_t query_end) const {
    const int64_t begin = at_most(at_least(0, query_begin + band.low), keys.count);
    const int64_t end = at_most(keys.count, query_end + band.high);
    return {begin, at_least(begin, end)};
  }
  Span queries_of(int64_t key_begin, int64_t key_end) const {
    const int64_t begin = at_most(at_least(0, key_begin - band.high), queries.count);
    const int64_t end = at_most(queries.count, key_end - band.low);
    return {begin, at_least(begin, end)};
  }
};

inline void set_pairs(Pairs& pairs, const Sequence& sequence, int64_t tile, int64_t block,
                      BlockKind kind) {
  pairs.sequence = &sequence;
  pairs.tile = tile;
  pairs.block = block;
  pairs.queries = query_tile(sequence, tile);
  pairs.keys = key_block(sequence, block);
  const bool full = kind == BlockKind::kFull;
  pairs.band =
      full ? Band{-kTile, kTile} : band_of(sequence.rules, pairs.queries.begin, pairs.keys.begin);
  pairs.next_block = next_kept_block(sequence, tile, block + 1);
  for (int64_t t = 0; t < kTile; ++t) {
    if (t >= pairs.queries.count) {
      pairs.kept[t] = 0;
    } else if (full) {
      pairs.kept[t] = range_bits(0, pairs.keys.count);
    } else {
      pairs.kept[t] = keep_bits(sequence.rules, pairs.queries.begin + t, pairs.keys.begin);
    }
  }
}

inline BiasGradient bias_gradient_of(const Problem& problem, const Pairs& pairs, int64_t head) {
  const AttentionBackwardArgs& args = problem.args;
  const int64_t index = pairs.sequence->index;
  BiasGradient to{};
  switch (problem.bias_sum) {
    case BiasSum::kElements:
      to.elements = static_cast<float*>(args.dbias) + index * args.dbias_batch_stride +
                    head * args.dbias_head_stride + pairs.queries.begin * args.dbias_query_stride +
                    pairs.keys.begin;
      to.stride = args.dbias_query_stride;
      break;
    case BiasSum::kKeys:
      to.key_sums = problem.scratch + problem.at.bias_keys +
                    (index * problem.forward.num_heads + head) * problem.at.padded_keys +
                    pairs.keys.begin;
      break;
    default:
      break;
  }
  return to;
}

template <class T>
inline ScoreRules score_rules(const Problem& problem, const Pairs& pairs, int64_t head,
                              Worker& worker) {
  const AttentionArgs& forward = problem.forward;
  const int64_t index = pairs.sequence->index;
  ScoreRules rules{};
  rules.scale = forward.scale;
  rules.softcap = forward.softcap;
  if (forward.bias != nullptr) {
    rules.bias = static_cast<const T*>(forward.bias) + index * forward.bias_batch_stride +
                 head * forward.bias_head_stride + pairs.queries.begin * forward.bias_query_stride +
                 pairs.keys.begin * forward.bias_key_stride;
    rules.bias_query_stride = forward.bias_query_stride;
    rules.bias_key_stride = forward.bias_key_stride;
    rules.dbias = bias_gradient_of(problem, pairs, head);
  }
  if (problem.sums_deltas) rules.row_deltas = worker.row_deltas;
  if (forward.alibi_slopes != nullptr) rules.alibi_slope = forward.alibi_slopes[head];
  rules.distance = position_of(pairs.sequence->rules, pairs.queries.begin) - pairs.keys.begin;
  rules.drops = forward.dropout > 0.0f;
  rules.row = index * forward.num_heads + head;
  rules.query_begin = pairs.queries.begin;
  rules.key_begin = pairs.keys.begin;
  rules.num_keys = pairs.keys.count;
  return rules;
}

// Probabilities and score gradients of the tile, from the packed q and dout.
template <class Math>
inline void compute_scores(const Problem& problem, const Pairs& pairs, int64_t head,
                           Worker& worker) {
  const AttentionArgs& forward = problem.forward;
  const Sequence& sequence = *pairs.sequence;
  const ScoreRules rules = score_rules<typename Math::Element>(problem, pairs, head, worker);
  const bool plain = rules.plain();
  const int64_t row = sequence.first_row + head * sequence.row_stride + pairs.queries.begin;
  const float* lse = forward.lse + row;
  const float* delta = problem.scratch + problem.at.delta + row;
  const int64_t words = words_of<Math>(forward.head_dim);
  const int64_t value_words = words_of<Math>(forward.value_dim);
  for_row_groups(0, pairs.queries.count, [&](int64_t query, auto rows) {
    constexpr int M = decltype(rows)::value;
    const Span keys = pairs.keys_of(query, query + M);
    const int64_t begin = keys.begin / kWidth, end = divide_up(keys.end, kWidth);
    score_rows<Math, M>(worker.products, worker.q_left + query * kPanel, worker.keys_transposed,
                        words, begin, end);
    score_rows<Math, M>(worker.dproducts, worker.dout_left + query * kPanel,
                        worker.values_transposed, value_words, begin, end);
    for (int64_t m = 0; m < M; m += 2) {
      QueryRow both[2];
      for (int64_t r = 0; r < 2; ++r) {
        const int64_t t = query + m + r;
        const bool inside = t < pairs.queries.count;
        both[r] = {inside ? finite_lse(lse[t]) : 0.0f, inside ? delta[t] : 0.0f, pairs.kept[t]};
      }
      const float* products = worker.products + m * kTile;
      const float* dproducts = worker.dproducts + m * kTile;
      if (plain) {
        plain_rows<Math>(worker.scores, products, dproducts, both, rules.scale, query + m, begin,
                         end);
      } else {
        shaped_rows<Math>(worker.scores, products, dproducts, both, forward, rules, query + m,
                          begin, end);
      }
    }
  });
}

// Adds the tile's share, in `worker.dq`, in the order of the blocks; the last one rounds to T.
template <class T>
inline void add_query_gradient(const Problem& problem, const Pairs& pairs, int64_t head,
                               Worker& worker) {
  const AttentionBackwardArgs& args = problem.args;
  const Sequence& sequence = *pairs.sequence;
  const int64_t width = problem.forward.head_dim;
  int32_t* turn = turn_of(problem, sequence, head, pairs.tile);
  const bool first = wait_for_turn(turn, pairs.block);
  const bool last = pairs.next_block < 0;
  T* out = static_cast<T*>(args.dq) + sequence.query_at(args.dq_strides, head, pairs.queries.begin);
  const bool direct = problem.forward.dtype == DType::kFloat32;
  const int64_t heads = problem.forward.num_heads;
  const HeadStrides strides{problem.forward.num_queries * heads * width, heads * width, width};
  float* sums = direct ? reinterpret_cast<float*>(out)
                       : problem.scratch + problem.at.dq +
                             sequence.query_at(strides, head, pairs.queries.begin);
  const int64_t sum_stride = direct ? args.dq_strides.token : strides.token;
  for (int64_t t = 0; t < pairs.queries.count; ++t) {
    for (int64_t d = 0; d < width; d += kWidth) {
      VecF v = load(worker.dq + (d / kPanel * kTile + t) * kPanel + d % kPanel);
      float* sum = sums + t * sum_stride + d;
      if (!first) v = load_up_to(sum, width - d) + v;
      if (last) {
        store_up_to(out + t * args.dq_strides.token + d, v, width - d);
      } else {
        store_up_to(sum, v, width - d);
      }
    }
  }
  if (problem.sums_deltas) {
    float* deltas = problem.scratch + problem.at.row_deltas + sequence.first_row +
                    head * sequence.row_stride + pairs.queries.begin;
    for (int64_t t = 0; t < pairs.queries.count; ++t) deltas[t] += worker.row_deltas[t];
  }
  __atomic_store_n(turn, static_cast<int32_t>(pairs.next_block), __ATOMIC_RELEASE);
}

template <class Math>
inline void process_tile(const Problem& problem, const Pairs& pairs, int64_t head, Worker& worker) {
  using T = typename Math::Element;
  const AttentionArgs& forward = problem.forward;
  const Sequence& sequence = *pairs.sequence;
  const int64_t width = forward.head_dim, value_width = forward.value_dim;
  const int64_t q_at = sequence.query_at(forward.q_strides, head, pairs.queries.begin);
  const int64_t dout_at = sequence.query_at(problem.args.dout_strides, head, pairs.queries.begin);
  const Rows<T> q{static_cast<const T*>(forward.q) + q_at, forward.q_strides.token,
                  pairs.queries.count, width};
  const Rows<T> dout{static_cast<const T*>(problem.args.dout) + dout_at,
                     problem.args.dout_strides.token, pairs.queries.count, value_width};
  Math::pack_left(worker.q_left, q);
  Math::pack_left(worker.dout_left, dout);
  if constexpr (Math::kDepth > 1) {
    Math::pack_right(worker.q_right, q);
    Math::pack_right(worker.dout_right, dout);
  }
  compute_scores<Math>(problem, pairs, head, worker);
  const auto queries_of = [&](int64_t a, int64_t b) { return pairs.queries_of(a, b); };
  add_key_gradient<Math>(worker.dv, worker.scores.weights_for_keys, worker.dout_right, value_width,
                         pairs.keys.count, queries_of);
  add_key_gradient<Math>(worker.dk, worker.scores.gradients_for_keys, worker.q_right, width,
                         pairs.keys.count, queries_of);
  query_gradient<Math>(worker.dq, worker.scores.gradients_for_queries, worker.keys, width,
                       pairs.queries.count,
                       [&](int64_t a, int64_t b) { return pairs.keys_of(a, b); });
  add_query_gradient<T>(problem, pairs, head, worker);
}

template <class T>
inline void write_rows(T* to, int64_t stride, const float* sums, int64_t count, int64_t width) {
  for (int64_t r = 0; r < count; ++r) {
    for (int64_t d = 0; d < width; d += kWidth) {
      store_up_to(to + r * stride + d, load(sums + (d / kPanel * kTile + r) * kPanel + d % kPanel),
                  width - d);
    }
  }
}

inline void clear(float* p, int64_t floats) {
  __builtin_memset(p, 0, static_cast<size_t>(floats) * sizeof(float));
}

template <class Math>
inline void process_block(const Problem& problem, const Sequence& sequence, int64_t kv_head,
                          int64_t block, Worker& worker) {
  using T = typename Math::Element;
  const AttentionBackwardArgs& args = problem.args;
  const AttentionArgs& forward = problem.forward;
  const Tile keys = key_block(sequence, block);
  const Rows<T> k{
      static_cast<const T*>(forward.k) + sequence.key_at(forward.k_strides, kv_head, keys.begin),
      forward.k_strides.token, keys.count, forward.head_dim};
  const Rows<T> v{
      static_cast<const T*>(forward.v) + sequence.key_at(forward.v_strides, kv_head, keys.begin),
      forward.v_strides.token, keys.count, forward.value_dim};
  pack_transposed<Math>(worker.keys_transposed, k);
  pack_transposed<Math>(worker.values_transposed, v);
  Math::pack_right(worker.keys, k);
  clear(worker.dk, kTile * problem.at.width);
  clear(worker.dv, kTile * problem.at.value_width);
  const int64_t group = problem.group(), head = kv_head * group;
  for (int64_t h = head; h < head + group && problem.bias_sum == BiasSum::kKeys; ++h) {
    const int64_t row = (sequence.index * forward.num_heads + h) * problem.at.padded_keys;
    clear(problem.scratch + problem.at.bias_keys + row + keys.begin, kTile);
  }
  Pairs pairs;
  for (int64_t tile = 0; tile < sequence.num_tiles(); ++tile) {
    const BlockKind kind = kind_at(sequence, tile, block);
    if (kind == BlockKind::kSkip) continue;
    set_pairs(pairs, sequence, tile, block, kind);
    for (int64_t h = head; h < head + group; ++h) process_tile<Math>(problem, pairs, h, worker);
  }
  write_rows(static_cast<T*>(args.dk) + sequence.key_at(args.dk_strides, kv_head, keys.begin),
             args.dk_strides.token, worker.dk, keys.count, forward.head_dim);
  write_rows(static_cast<T*>(args.dv) + sequence.key_at(args.dv_strides, kv_head, keys.begin),
             args.dv_strides.token, worker.dv, keys.count, forward.value_dim);
}

}  // namespace llmcore::cpu::LLMCORE_ISA::gradient
