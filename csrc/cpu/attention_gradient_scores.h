// From the products q.k and dout.v of a few queries with a block of keys to the probabilities and
// the gradients of the scores, with every rule that shapes a score.
#pragma once

#include <cstdint>

#include "cpu/attention_gradient_tiles.h"
#include "cpu/attention_scores.h"
#include "cpu/vec.h"
#include "cpu/vec_math.h"
#include "ops/attention.h"

namespace llmcore::cpu::LLMCORE_ISA::gradient {

// Where a tile's share of the bias gradient goes; null for what is not wanted.
struct BiasGradient {
  float* elements;  // of (query 0, key 0) of the tile, where no axis of pairs is broadcast
  int64_t stride;   // from query to query
  float* key_sums;  // [kTile], added to: one bias per key
};

// One head's rules on one tile of queries and keys.
struct ScoreRules {
  float scale;
  float softcap;     // 0: none
  const void* bias;  // of (query 0, key 0) of the tile, or null
  int64_t bias_query_stride, bias_key_stride;
  float alibi_slope;
  int64_t distance;  // position of query 0 minus position of key 0, for ALiBi
  bool drops;
  int64_t row;                     // sequence * H + head, for dropout
  int64_t query_begin, key_begin;  // in the sequence, for dropout
  BiasGradient dbias;
  float* row_deltas;  // [kTile], added to: sum over keys of p * dp; or null
  int64_t num_keys;   // of the tile

  bool plain() const {
    return softcap == 0.0f && bias == nullptr && alibi_slope == 0.0f && !drops &&
           row_deltas == nullptr;
  }
};

// A query of the tile.
struct QueryRow {
  float lse;
  float delta;
  uint64_t kept;  // bit j: key j of the tile
};

// exp(z - lse) of a query whose every score is -infinity must be 0, not NaN.
inline float finite_lse(float lse) {
  return lse == -__builtin_inff() ? __builtin_inff() : lse;
}

// v where the bit of the lane is set, else 0.
inline VecF keep_lanes(VecF v, uint64_t bits) {
#if defined(__AVX512F__)
  return (VecF)_mm512_maskz_mov_ps(static_cast<__mmask16>(bits), (__m512)v);
#else
  VecI lane;
  for (int i = 0; i < kWidth; ++i) lane[i] = 1 << i;
  const VecI chosen = (lane & static_cast<int32_t>(bits & 0xFF)) != 0;
  return (VecF)((VecI)v & chosen);
#endif
}

struct ScorePair {
  VecF weight;    // p * drop
  VecF gradient;  // scale * dz
};

inline ScorePair plain_pair(VecF score, VecF dweight, const QueryRow& row, float scale) {
  const VecF factor = splat(scale);
  const VecF p = exp(fused_multiply_add(score, factor, splat(-row.lse)));
  const VecF pull = splat(-row.delta * scale);
  return {p, p * fused_multiply_add(dweight, factor, pull)};
}

inline void add_bias_gradient(const BiasGradient& to, int64_t query, int64_t column, int64_t left,
                              VecF ds) {
  if (to.elements != nullptr) {
    float* at = to.elements + query * to.stride + column;
    store_up_to(at, load_up_to(at, left) + ds, left);
  }
  if (to.key_sums != nullptr) store(to.key_sums + column, load(to.key_sums + column) + ds);
}

// Every rule; `factors` are the row's of dropout, or null, and `delta` gathers p * dp.
template <class T>
inline ScorePair shaped_pair(VecF score, VecF dweight, const ScoreRules& rules, const QueryRow& row,
                             int64_t query, int64_t column, const float* factors, VecF& delta) {
  VecF z = score * rules.scale;
  VecF slope = splat(rules.scale);
  if (rules.softcap > 0.0f) {
    const VecF t = tanh(z / rules.softcap);
    z = t * rules.softcap;
    slope = slope * fused_multiply_add(-t, t, splat(1.0f));
  }
  if (rules.bias != nullptr) {
    const T* from = static_cast<const T*>(rules.bias) + query * rules.bias_query_stride;
    z += load_bias(from + column * rules.bias_key_stride, rules.bias_key_stride,
                   rules.num_keys - column);
  }
  if (rules.alibi_slope != 0.0f) {
    const VecF away = lane_numbers() + static_cast<float>(column - query - rules.distance);
    z = z - absolute(away) * rules.alibi_slope;
  }
  const uint64_t kept = row.kept >> column;
  const VecF p = keep_lanes(exp(z - row.lse), kept);
  VecF weight = p;
  if (factors != nullptr) {
    weight = p * load(factors + column);
    dweight = dweight * load(factors + column);
  }
  const VecF ds = keep_lanes(p * (dweight - row.delta), kept);
  delta += keep_lanes(p * dweight, kept);
  if (rules.bias != nullptr) {
    add_bias_gradient(rules.dbias, query, column, rules.num_keys - column, ds);
  }
  return {weight, ds * slope};
}

// Where the tile's weights and score gradients go, in the forms that the products read.
struct ScoreTiles {
  float* weights_for_keys;
  float* gradients_for_keys;
  float* gradients_for_queries;
};

template <class Math>
inline void store_pairs_of_rows(const ScoreTiles& to, int64_t query, int64_t column,
                                const ScorePair& even, const ScorePair& odd) {
  Math::store_for_keys(to.weights_for_keys, query, column, even.weight, odd.weight);
  Math::store_for_keys(to.gradients_for_keys, query, column, even.gradient, odd.gradient);
  if constexpr (!Math::kOneScoreForm) {
    Math::store_for_queries(to.gradients_for_queries, query, column, even.gradient);
    Math::store_for_queries(to.gradients_for_queries, query + 1, column, odd.gradient);
  }
}

// Two queries, vectors [begin, end) of their products; the other columns become 0.
template <class Math>
inline void plain_rows(const ScoreTiles& to, const float* scores, const float* dweights,
                       const QueryRow* rows, float scale, int64_t query, int64_t begin,
                       int64_t end) {
  const QueryRow &even = rows[0], &odd = rows[1];
  const bool all = (even.kept & odd.kept) == ~uint64_t{0};
  for (int64_t v = 0; v < kTile / kWidth; ++v) {
    const int64_t column = v * kWidth;
    ScorePair a{}, b{};
    if (v >= begin && v < end) {
      a = plain_pair(load(scores + column), load(dweights + column), even, scale);
      b = plain_pair(load(scores + kTile + column), load(dweights + kTile + column), odd, scale);
      if (!all) {
        a = {keep_lanes(a.weight, even.kept >> column),
             keep_lanes(a.gradient, even.kept >> column)};
        b = {keep_lanes(b.weight, odd.kept >> column), keep_lanes(b.gradient, odd.kept >> column)};
      }
    }
    store_pairs_of_rows<Math>(to, query, column, a, b);
  }
}

template <class Math>
inline void shaped_rows(const ScoreTiles& to, const float* scores, const float* dweights,
                        const QueryRow* rows, const AttentionArgs& args, const ScoreRules& rules,
                        int64_t query, int64_t begin, int64_t end) {
  using T = typename Math::Element;
  float factors[2][kTile];
  for (int r = 0; r < 2 && args.dropout > 0.0f; ++r) {
    if (rows[r].kept == 0) continue;
    dropout_factors(args, rules.row, rules.query_begin + query + r, rules.key_begin, factors[r]);
  }
  VecF sums[2] = {};
  for (int64_t v = 0; v < kTile / kWidth; ++v) {
    const int64_t column = v * kWidth;
    ScorePair pair[2] = {};
    for (int r = 0; r < 2 && v >= begin && v < end; ++r) {
      if ((rows[r].kept >> column) == 0) continue;
      const int64_t at = r * kTile + column;
      pair[r] = shaped_pair<T>(load(scores + at), load(dweights + at), rules, rows[r], query + r,
                               column, args.dropout > 0.0f ? factors[r] : nullptr, sums[r]);
    }
    store_pairs_of_rows<Math>(to, query, column, pair[0], pair[1]);
  }
  if (rules.row_deltas != nullptr) {
    for (int r = 0; r < 2; ++r) rules.row_deltas[query + r] += sum_lanes(sums[r]);
  }
}

}  // namespace llmcore::cpu::LLMCORE_ISA::gradient
