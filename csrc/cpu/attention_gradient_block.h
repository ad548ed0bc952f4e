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
  float *keys_transposed, *values_transposed, *keys, *dk, *dv;  // of every block of the strip
  float* dq;
  float *q_left, *q_right, *dout_left, *dout_right;
  ScoreTiles scores;
  float *products, *dproducts;
  float* row_deltas;
};

template <class Math>
inline Worker worker_of(const Problem& problem, int64_t index) {
  const int64_t width = kTile * problem.at.width, value_width = kTile * problem.at.value_width;
  const int64_t strip = problem.at.max_strip;
  float* next = problem.scratch + problem.at.workers + index * problem.at.worker_size;
  const auto take = [&next](int64_t floats) {
    float* begin = next;
    next += floats;
    return begin;
  };
  Worker worker{};
  worker.keys_transposed = take(strip * width);
  worker.values_transposed = take(strip * value_width);
  worker.keys = take(strip * width);
  worker.dk = take(strip * width);
  worker.dv = take(strip * value_width);
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
  int64_t tile;
  int64_t place;  // of the block in the strip
  Tile queries, keys;
  Band band;
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
  pairs.place = block % sequence.strip;
  pairs.queries = query_tile(sequence, tile);
  pairs.keys = key_block(sequence, block);
  const bool full = kind == BlockKind::kFull;
  pairs.band =
      full ? Band{-kTile, kTile} : band_of(sequence.rules, pairs.queries.begin, pairs.keys.begin);
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
  const float* keys_transposed = worker.keys_transposed + pairs.place * kTile * problem.at.width;
  const float* values_transposed =
      worker.values_transposed + pairs.place * kTile * problem.at.value_width;
  for_row_groups(0, pairs.queries.count, [&](int64_t query, auto rows) {
    constexpr int M = decltype(rows)::value;
    const Span keys = pairs.keys_of(query, query + M);
    const int64_t begin = keys.begin / kWidth, end = divide_up(keys.end, kWidth);
    score_rows<Math, M>(worker.products, worker.q_left + query * kPanel, keys_transposed, words,
                        begin, end);
    score_rows<Math, M>(worker.dproducts, worker.dout_left + query * kPanel, values_transposed,
                        value_words, begin, end);
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

struct Turn {
  int64_t strip;
  int64_t next_strip;  // that the tile keeps anything of, or -1
};

// Adds the strip's share of a tile, in `worker.dq`, when its turn comes; the last one rounds to T.
template <class T>
inline void take_turn(const Problem& problem, const Pairs& pairs, const Turn& turn, int64_t head,
                      const Worker& worker) {
  const AttentionBackwardArgs& args = problem.args;
  const Sequence& sequence = *pairs.sequence;
  const int64_t width = problem.forward.head_dim;
  int32_t* now = turn_of(problem, sequence, head, pairs.tile);
  const bool first = wait_for_turn(now, turn.strip);
  const bool last = turn.next_strip < 0;
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
  __atomic_store_n(now, static_cast<int32_t>(turn.next_strip), __ATOMIC_RELEASE);
}

// Packs q and dout of one head.
template <class Math>
inline void pack_queries(const Problem& problem, const Pairs& pairs, int64_t head,
                         const Worker& worker) {
  using T = typename Math::Element;
  const AttentionArgs& forward = problem.forward;
  const int64_t begin = pairs.queries.begin, count = pairs.queries.count;
  const int64_t q_at = pairs.sequence->query_at(forward.q_strides, head, begin);
  const int64_t dout_at = pairs.sequence->query_at(problem.args.dout_strides, head, begin);
  const Rows<T> q{static_cast<const T*>(forward.q) + q_at, forward.q_strides.token, count,
                  forward.head_dim};
  const Rows<T> dout{static_cast<const T*>(problem.args.dout) + dout_at,
                     problem.args.dout_strides.token, count, forward.value_dim};
  Math::pack_left(worker.q_left, q);
  Math::pack_left(worker.dout_left, dout);
  if constexpr (Math::kDepth > 1) {
    Math::pack_right(worker.q_right, q);
    Math::pack_right(worker.dout_right, dout);
  }
}

// One tile of queries of one head against the `count` blocks of a strip that it keeps.
template <class Math>
inline void process_tile(const Problem& problem, const Pairs* blocks, int64_t count,
                         const Turn& turn, int64_t head, Worker& worker) {
  const int64_t width = problem.forward.head_dim, value_width = problem.forward.value_dim;
  pack_queries<Math>(problem, blocks[0], head, worker);
  if (problem.sums_deltas) clear(worker.row_deltas, kTile);
  for (int64_t i = 0; i < count; ++i) {
    const Pairs& pairs = blocks[i];
    const int64_t keys = pairs.place * kTile * problem.at.width;
    const int64_t values = pairs.place * kTile * problem.at.value_width;
    const auto queries_of = [&](int64_t a, int64_t b) { return pairs.queries_of(a, b); };
    const auto keys_of = [&](int64_t a, int64_t b) { return pairs.keys_of(a, b); };
    compute_scores<Math>(problem, pairs, head, worker);
    add_key_gradient<Math>(worker.dv + values, worker.scores.weights_for_keys, worker.dout_right,
                           value_width, pairs.keys.count, queries_of);
    add_key_gradient<Math>(worker.dk + keys, worker.scores.gradients_for_keys, worker.q_right,
                           width, pairs.keys.count, queries_of);
    add_query_gradient<Math>(worker.dq, i == 0, worker.scores.gradients_for_queries,
                             worker.keys + keys, width, pairs.queries.count, keys_of);
  }
  take_turn<typename Math::Element>(problem, blocks[0], turn, head, worker);
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

// Packs k and v of one block of the strip and clears what its keys gather.
template <class Math>
inline void begin_block(const Problem& problem, const Sequence& sequence, int64_t kv_head,
                        int64_t block, const Worker& worker) {
  using T = typename Math::Element;
  const AttentionArgs& forward = problem.forward;
  const Tile keys = key_block(sequence, block);
  const int64_t place = block % sequence.strip;
  const int64_t at = place * kTile * problem.at.width;
  const int64_t value_at = place * kTile * problem.at.value_width;
  const int64_t k_at = sequence.key_at(forward.k_strides, kv_head, keys.begin);
  const int64_t v_at = sequence.key_at(forward.v_strides, kv_head, keys.begin);
  const Rows<T> k{static_cast<const T*>(forward.k) + k_at, forward.k_strides.token, keys.count,
                  forward.head_dim};
  const Rows<T> v{static_cast<const T*>(forward.v) + v_at, forward.v_strides.token, keys.count,
                  forward.value_dim};
  pack_transposed<Math>(worker.keys_transposed + at, k);
  pack_transposed<Math>(worker.values_transposed + value_at, v);
  Math::pack_right(worker.keys + at, k);
  clear(worker.dk + at, kTile * problem.at.width);
  clear(worker.dv + value_at, kTile * problem.at.value_width);
  if (problem.bias_sum != BiasSum::kKeys) return;
  const int64_t first = sequence.index * forward.num_heads + kv_head * problem.group();
  for (int64_t row = first; row < first + problem.group(); ++row) {
    clear(problem.scratch + problem.at.bias_keys + row * problem.at.padded_keys + keys.begin,
          kTile);
  }
}

template <class T>
inline void end_block(const Problem& problem, const Sequence& sequence, int64_t kv_head,
                      int64_t block, const Worker& worker) {
  const AttentionBackwardArgs& args = problem.args;
  const Tile keys = key_block(sequence, block);
  const int64_t place = block % sequence.strip;
  write_rows(static_cast<T*>(args.dk) + sequence.key_at(args.dk_strides, kv_head, keys.begin),
             args.dk_strides.token, worker.dk + place * kTile * problem.at.width, keys.count,
             problem.forward.head_dim);
  write_rows(static_cast<T*>(args.dv) + sequence.key_at(args.dv_strides, kv_head, keys.begin),
             args.dv_strides.token, worker.dv + place * kTile * problem.at.value_width, keys.count,
             problem.forward.value_dim);
}

template <class Math>
inline void process_strip(const Problem& problem, const Sequence& sequence, int64_t kv_head,
                          int64_t strip, Worker& worker) {
  using T = typename Math::Element;
  const int64_t begin = strip * sequence.strip;
  const int64_t end = at_most(begin + sequence.strip, sequence.num_blocks());
  for (int64_t j = begin; j < end; ++j) begin_block<Math>(problem, sequence, kv_head, j, worker);
  const int64_t head = kv_head * problem.group();
  Pairs blocks[kMaxStrip];
  for (int64_t tile = 0; tile < sequence.num_tiles(); ++tile) {
    int64_t count = 0;
    for (int64_t j = begin; j < end; ++j) {
      const BlockKind kind = kind_at(sequence, tile, j);
      if (kind != BlockKind::kSkip) set_pairs(blocks[count++], sequence, tile, j, kind);
    }
    if (count == 0) continue;
    const Turn turn{strip, next_kept_strip(sequence, tile, strip + 1)};
    for (int64_t h = head; h < head + problem.group(); ++h) {
      process_tile<Math>(problem, blocks, count, turn, h, worker);
    }
  }
  for (int64_t j = begin; j < end; ++j) end_block<T>(problem, sequence, kv_head, j, worker);
}

}  // namespace llmcore::cpu::LLMCORE_ISA::gradient
