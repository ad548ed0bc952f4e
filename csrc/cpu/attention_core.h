// One tile of attention: some queries of one sequence, the query heads of one key/value head, all
// keys. Shared by contiguous and paged attention; a Source says where keys and values lie.
//
// The order in which a query's row is reduced is fixed by key positions alone. Blocks of 64 keys
// from multiples of 64 on: scores, block maximum, weights, and the weighted values key by key.
// Blocks of one span of kSpanKeys keys follow each other with a running maximum; spans, each begun
// afresh, are merged in order, so that spans may be computed apart.
#pragma once

#include <cstdint>

#include "cpu/attention_mask.h"
#include "cpu/attention_scores.h"
#include "cpu/attention_tiles.h"
#include "ops/attention.h"

namespace llmcore::cpu::LLMCORE_ISA {

constexpr int64_t kSpanKeys = 1024;
constexpr float kLowest = -3.40282347e38f;  // a maximum over nothing: finite, so x - x is 0

// Keys and values of one sequence and head in memory of fixed strides.
struct StridedRows {
  const char* k;
  const char* v;
  int64_t k_bytes;  // from token to token
  int64_t v_bytes;

  void rows(int64_t begin, int64_t count, const void** k_rows, const void** v_rows) const {
    for (int64_t j = 0; j < count; ++j) {
      k_rows[j] = k + (begin + j) * k_bytes;
      v_rows[j] = v + (begin + j) * v_bytes;
    }
  }
  static constexpr bool kScaled = false;
  void scales(int64_t, int64_t, float*, float*) const {}
};

struct Tile {
  int64_t sequence;
  int64_t kv_head;
  int64_t first_token;  // of the sequence among packed queries
  int64_t query_begin;
  int64_t num_queries;
  int64_t head_begin;  // a query head
  int64_t num_heads;

  int64_t rows() const { return num_queries * num_heads; }  // row = query * num_heads + head
  int64_t query(int64_t row) const { return query_begin + row / num_heads; }
  int64_t head(int64_t row) const { return head_begin + row % num_heads; }
};

// The running state of rows: maximum, sum of exp(score - maximum) by lane, weighted values.
struct RowState {
  float* max;
  float* sum;
  float* out;
};

struct Workspace {
  float* q;  // [rows][depth] lanes
  float* keys;
  float* values;
  float* scores;   // [kGroupRows][64]
  float* weights;  // [kGroupRows][64], or as many pairs
  RowState span;
  RowState total;
};

template <bool kPairs>
Workspace workspace_of(char* memory, const AttentionArgs& args, int64_t rows, int64_t* num_bytes) {
  const int64_t width = round_up(args.value_dim, kWidth);
  const int64_t depth = round_up(lanes_of<kPairs>(args.head_dim), kWidth);
  int64_t used = 0;
  const auto take = [&](int64_t floats) {
    float* at = reinterpret_cast<float*>(memory) + used;
    used += round_up(floats, 16);
    return at;
  };
  Workspace space;
  space.q = take(rows * depth);
  space.keys = take(depth * kBlockKeys);
  space.values = take(kBlockKeys * width);
  space.scores = take(kGroupRows * kBlockKeys);
  space.weights = take(kGroupRows * kBlockKeys);
  space.span = {take(rows), take(rows * kWidth), take(rows * width)};
  space.total = {take(rows), take(rows * kWidth), take(rows * width)};
  *num_bytes = used * 4;
  return space;
}

// --- products over a group of rows ---------------------------------------------------------------

template <bool kPairs, int kRows>
void score_vectors(const float* q, int64_t q_stride, const float* keys, int64_t depth, int begin,
                   int end, float* scores) {
  for (int v = begin; v < end; v += kTileVectors) {
    const float* k = keys + v * kWidth;
    float* to = scores + v * kWidth;
    switch (end - v) {
      case 1:
        score_tile<kPairs, kRows, 1>(q, q_stride, k, depth, to);
        break;
#if defined(__AVX512F__)
      case 2:
        score_tile<kPairs, kRows, 2>(q, q_stride, k, depth, to);
        break;
      case 3:
        score_tile<kPairs, kRows, 3>(q, q_stride, k, depth, to);
        break;
#endif
      default:
        score_tile<kPairs, kRows, kTileVectors>(q, q_stride, k, depth, to);
    }
  }
}

template <bool kPairs>
void score_group(const float* q, int64_t q_stride, int64_t rows, const float* keys, int64_t depth,
                 int begin, int end, float* scores) {
  if (rows == kGroupRows) {
    return score_vectors<kPairs, kGroupRows>(q, q_stride, keys, depth, begin, end, scores);
  }
  int64_t r = 0;
  for (; r + 4 <= rows; r += 4) {
    score_vectors<kPairs, 4>(q + r * q_stride, q_stride, keys, depth, begin, end,
                             scores + r * kBlockKeys);
  }
  for (; r + 2 <= rows; r += 2) {
    score_vectors<kPairs, 2>(q + r * q_stride, q_stride, keys, depth, begin, end,
                             scores + r * kBlockKeys);
  }
  if (r < rows) {
    score_vectors<kPairs, 1>(q + r * q_stride, q_stride, keys, depth, begin, end,
                             scores + r * kBlockKeys);
  }
}

struct ValueRange {
  const float* values;
  int64_t width;
  int64_t begin, end;  // in steps
};

template <bool kPairs, int kRows>
void value_columns(const float* weights, const float* rescale, const ValueRange& at, float* out) {
  int64_t c = 0;
  for (; c + kTileVectors * kWidth <= at.width; c += kTileVectors * kWidth) {
    value_tile<kPairs, kRows, kTileVectors>(weights, rescale, at.values + c, at.width, at.begin,
                                            at.end, out + c);
  }
#if defined(__AVX512F__)
  for (; c + 2 * kWidth <= at.width; c += 2 * kWidth) {
    value_tile<kPairs, kRows, 2>(weights, rescale, at.values + c, at.width, at.begin, at.end,
                                 out + c);
  }
#endif
  for (; c < at.width; c += kWidth) {
    value_tile<kPairs, kRows, 1>(weights, rescale, at.values + c, at.width, at.begin, at.end,
                                 out + c);
  }
}

template <bool kPairs>
void value_group(const float* weights, const float* rescale, int64_t rows, const ValueRange& at,
                 float* out) {
  constexpr int64_t kWeightLanes = kPairs ? kBlockKeys / 2 : kBlockKeys;
  if (rows == kGroupRows) {
    return value_columns<kPairs, kGroupRows>(weights, rescale, at, out);
  }
  int64_t r = 0;
  for (; r + 4 <= rows; r += 4) {
    value_columns<kPairs, 4>(weights + r * kWeightLanes, rescale + r, at, out + r * at.width);
  }
  for (; r + 2 <= rows; r += 2) {
    value_columns<kPairs, 2>(weights + r * kWeightLanes, rescale + r, at, out + r * at.width);
  }
  if (r < rows) {
    value_columns<kPairs, 1>(weights + r * kWeightLanes, rescale + r, at, out + r * at.width);
  }
}

// --- softmax -------------------------------------------------------------------------------------

inline float largest_lane(VecF v) {
#if defined(__AVX512F__)
  return _mm512_reduce_max_ps((__m512)v);
#else
  float lanes[kWidth];
  store(lanes, v);
  float found = lanes[0];
  for (int i = 1; i < kWidth; ++i) found = found > lanes[i] ? found : lanes[i];
  return found;
#endif
}

// Lanes of v whose bits are set, -infinity elsewhere.
inline VecF keep_lanes(VecF v, uint64_t bits) {
#if defined(__AVX512F__)
  return (VecF)_mm512_mask_mov_ps(_mm512_set1_ps(-__builtin_inff()),
                                  static_cast<__mmask16>(bits & 0xFFFF), (__m512)v);
#else
  VecI lane;
  for (int i = 0; i < kWidth; ++i) lane[i] = 1 << i;
  const VecI kept = (lane & static_cast<int32_t>(bits & 0xFFFF)) != 0;
  return kept ? v : VecF{} - __builtin_inff();
#endif
}

template <bool kPairs>
inline void store_weights(float* row, int vector, VecF weights) {
#if defined(__AVX512BF16__)
  if constexpr (kPairs) {
    return store(reinterpret_cast<BFloat16*>(row) + vector * kWidth, weights);
  }
#endif
  store(row + vector * kWidth, weights);
}

// What one block does to the state of a group of rows.
struct GroupScores {
  float* scores;             // [rows][64]
  float* weights;            // out
  float* rescale;            // out: exp(old maximum - new maximum)
  const uint64_t* bits;      // kept keys per row, or null for all
  const float* drop;         // factor per weight [rows][64], or null
  const float* value_scale;  // factor per key [64], or null
  float scale;               // of the scores
  int begin, end;            // vectors
};

template <bool kPairs>
void softmax_row(const GroupScores& group, int64_t r, float max, float* sum) {
  constexpr int64_t kWeightLanes = kPairs ? kBlockKeys / 2 : kBlockKeys;
  const float* scores = group.scores + r * kBlockKeys;
  float* weights = group.weights + r * kWeightLanes;
  const VecF highest = splat(&max);
  VecF parts[4] = {};
  for (int v = group.begin; v < group.end; ++v) {
    VecF p = exp(load(scores + v * kWidth) - highest);
    parts[v % 4] += p;
    if (group.drop != nullptr) p *= load(group.drop + r * kBlockKeys + v * kWidth);
    if (group.value_scale != nullptr) p *= load(group.value_scale + v * kWidth);
    store_weights<kPairs>(weights, v, p);
  }
  const VecF added = (parts[0] + parts[1]) + (parts[2] + parts[3]);
  store(sum, fused_multiply_add(load(sum), splat(group.rescale + r), added));
}

template <bool kPairs>
void softmax_group(const GroupScores& group, int64_t rows, float* max, float* sum) {
  float change[round_up(kGroupRows, kWidth)] = {}, highest[kGroupRows];
  for (int64_t r = 0; r < rows; ++r) {
    float* scores = group.scores + r * kBlockKeys;
    VecF largest = VecF{} + kLowest;
    for (int v = group.begin; v < group.end; ++v) {
      VecF z = load(scores + v * kWidth) * group.scale;
      if (group.bits != nullptr) z = keep_lanes(z, group.bits[r] >> (v * kWidth));
      largest = maximum(largest, z);
      store(scores + v * kWidth, z);
    }
    const float found = largest_lane(largest);
    highest[r] = max[r] > found ? max[r] : found;
    change[r] = max[r] - highest[r];
  }
  for (int64_t r = 0; r < rows; r += kWidth) {
    store(change + r, exp(load(change + r)));
  }
  for (int64_t r = 0; r < rows; ++r) {
    group.rescale[r] = change[r];
    softmax_row<kPairs>(group, r, highest[r], sum + r * kWidth);
    max[r] = highest[r];
  }
}

// --- states --------------------------------------------------------------------------------------

inline void clear(const RowState& state, int64_t rows, int64_t width) {
  for (int64_t r = 0; r < rows; ++r) state.max[r] = kLowest;
  __builtin_memset(state.sum, 0, static_cast<size_t>(rows * kWidth) * 4);
  __builtin_memset(state.out, 0, static_cast<size_t>(rows * width) * 4);
}

// Adds the later span to the total of the earlier ones.
inline void merge(const RowState& total, const RowState& span, int64_t rows, int64_t width) {
  for (int64_t r = 0; r < rows; ++r) {
    const float a = total.max[r], b = span.max[r], highest = a > b ? a : b;
    float factors[kWidth] = {};
    factors[0] = a - highest;
    factors[1] = b - highest;
    store(factors, exp(load(factors)));
    const VecF keep = splat(factors), add = splat(factors + 1);
    float* sum = total.sum + r * kWidth;
    store(sum, fused_multiply_add(load(span.sum + r * kWidth), add, load(sum) * keep));
    float* out = total.out + r * width;
    for (int64_t c = 0; c < width; c += kWidth) {
      const VecF added = load(span.out + r * width + c);
      store(out + c, fused_multiply_add(added, add, load(out + c) * keep));
    }
    total.max[r] = highest;
  }
}

// The state before the first span: the sink's weight, or nothing.
inline void begin_total(const AttentionArgs& args, const Tile& tile, const RowState& total,
                        int64_t width) {
  clear(total, tile.rows(), width);
  if (args.sinks == nullptr) return;
  for (int64_t r = 0; r < tile.rows(); ++r) {
    const float sink = args.sinks[tile.head(r)];
    if (sink < kLowest) continue;
    total.max[r] = sink;
    total.sum[r * kWidth] = 1.0f;
  }
}

template <class T>
void write_rows(const AttentionArgs& args, const Tile& tile, const RowState& total, int64_t width) {
  for (int64_t r = 0; r < tile.rows(); ++r) {
    const int64_t token = tile.first_token + tile.query(r), head = tile.head(r);
    const HeadStrides& at = args.out_strides;
    T* out =
        static_cast<T*>(args.out) + tile.sequence * at.batch + token * at.token + head * at.head;
    const float sum = sum_lanes(load(total.sum + r * kWidth));
    const bool empty = sum == 0.0f;
    const float divisor = empty ? 1.0f : sum;
    const VecF divisors = splat(&divisor);
    for (int64_t c = 0; c < args.value_dim; c += kWidth) {
      const VecF value = load(total.out + r * width + c) / divisors;
      if (c + kWidth <= args.value_dim) {
        store(out + c, value);
      } else {
        store_tail(out + c, value, args.value_dim - c);
      }
    }
    if (args.lse == nullptr) continue;
    const int64_t row = args.cu_seqlens_q != nullptr
                            ? head * args.cu_seqlens_q[args.num_sequences] + token
                            : (tile.sequence * args.num_heads + head) * args.num_queries + token;
    args.lse[row] = empty ? -__builtin_inff() : total.max[r] + __builtin_logf(sum);
  }
}

// --- a tile --------------------------------------------------------------------------------------

template <bool kPairs, class T>
void load_queries(const AttentionArgs& args, const Tile& tile, float* q, int64_t stride) {
  const HeadStrides& at = args.q_strides;
  for (int64_t r = 0; r < tile.rows(); ++r) {
    const T* from = static_cast<const T*>(args.q) + tile.sequence * at.batch +
                    (tile.first_token + tile.query(r)) * at.token + tile.head(r) * at.head;
    for (int64_t i = 0; i < lanes_of<kPairs>(args.head_dim); i += kWidth) {
      store(q + r * stride + i, load_lanes<kPairs>(from, i, args.head_dim));
    }
  }
}

// The kept keys of a group of rows in one block.
struct GroupBits {
  uint64_t rows[kGroupRows];
  uint64_t any;
  uint64_t all;
};

inline GroupBits group_bits(const PairRules& rules, const Tile& tile, int64_t first, int64_t rows,
                            int64_t key_begin) {
  GroupBits found{{}, 0, ~uint64_t{0}};
  int64_t query = -1;
  for (int64_t r = 0; r < rows; ++r) {
    const bool same = tile.query(first + r) == query;
    query = tile.query(first + r);
    found.rows[r] = same ? found.rows[r - 1] : keep_bits(rules, query, key_begin);
    found.any |= found.rows[r];
    found.all &= found.rows[r];
  }
  return found;
}

struct BlockScales {
  float k[kBlockKeys];
  float v[kBlockKeys];
};

// One group of rows meets the packed block at key_begin.
template <bool kPairs>
void attend_group(const AttentionArgs& args, const PairRules& rules, const Tile& tile,
                  const Workspace& space, int64_t first, int64_t key_begin, bool is_full,
                  const BlockScales* scales) {
  const int64_t left = tile.rows() - first, rows = left < kGroupRows ? left : kGroupRows;
  int64_t begin = 0, end = kBlockKeys;
  GroupBits bits{};
  if (!is_full) {
    bits = group_bits(rules, tile, first, rows, key_begin);
    if (bits.any == 0) return;
    is_full = bits.all == ~uint64_t{0};
    begin = __builtin_ctzll(bits.any);
    end = kBlockKeys - __builtin_clzll(bits.any);
  }
  const int64_t depth = lanes_of<kPairs>(args.head_dim), q_stride = round_up(depth, kWidth);
  const int64_t width = round_up(args.value_dim, kWidth);
  float rescale[round_up(kGroupRows, kWidth)];
  alignas(64) float drop[kGroupRows * kBlockKeys];
  GroupScores group{.scores = space.scores,
                    .weights = space.weights,
                    .rescale = rescale,
                    .bits = is_full ? nullptr : bits.rows,
                    .drop = args.dropout > 0 ? drop : nullptr,
                    .value_scale = scales != nullptr ? scales->v : nullptr,
                    .scale = args.scale,
                    .begin = static_cast<int>(begin / kWidth),
                    .end = static_cast<int>((end + kWidth - 1) / kWidth)};
  score_group<kPairs>(space.q + first * q_stride, q_stride, rows, space.keys, depth, group.begin,
                      group.end, space.scores);
  if (shapes_scores(args) || scales != nullptr) {
    for (int64_t r = 0; r < rows; ++r) {
      const ScoreRow row{tile.sequence, tile.head(first + r), tile.query(first + r),
                         position_of(rules, tile.query(first + r)), key_begin};
      shape_scores(args, row, scales != nullptr ? scales->k : nullptr, group.begin, group.end,
                   rules.num_keys, space.scores + r * kBlockKeys);
    }
    group.scale = 1.0f;
  }
  for (int64_t r = 0; r < rows && args.dropout > 0; ++r) {
    const int64_t row = tile.sequence * args.num_heads + tile.head(first + r);
    dropout_factors(args, row, tile.query(first + r), key_begin, drop + r * kBlockKeys);
  }
  softmax_group<kPairs>(group, rows, space.span.max + first, space.span.sum + first * kWidth);
  constexpr int64_t kStep = kPairs ? 2 : 1;
  const ValueRange values{space.values, width, begin / kStep, (end + kStep - 1) / kStep};
  value_group<kPairs>(space.weights, rescale, rows, values, space.span.out + first * width);
}

// Keys [begin, end) of one span, end not beyond the last key; leaves the result in space.span.
template <bool kPairs, class KV, class Source>
void attend_span(const AttentionArgs& args, const PairRules& rules, const Tile& tile,
                 const Source& source, const Workspace& space, int64_t begin, int64_t end) {
  const void *k_rows[kBlockKeys], *v_rows[kBlockKeys];
  const void *k_next[kBlockKeys], *v_next[kBlockKeys];
  BlockScales scales;
  const int64_t query_end = tile.query_begin + tile.num_queries;
  for (int64_t key = begin; key < end; key += kBlockKeys) {
    const int64_t left = rules.num_keys - key, count = left < kBlockKeys ? left : kBlockKeys;
    const BlockKind kind = block_kind(rules, tile.query_begin, query_end, key, key + count);
    if (kind == BlockKind::kSkip) continue;
    const int64_t after = left - count < kBlockKeys ? left - count : kBlockKeys;
    for (int64_t j = 0; j < kBlockKeys; ++j) k_next[j] = v_next[j] = nullptr;
    source.rows(key, count, k_rows, v_rows);
    source.rows(key + kBlockKeys, after, k_next, v_next);
    pack_keys<kPairs, KV>(k_rows, k_next, count, args.head_dim, space.keys);
    pack_values<kPairs, KV>(v_rows, v_next, count, args.value_dim, space.values);
    if constexpr (Source::kScaled) source.scales(key, count, scales.k, scales.v);
    const bool is_full = kind == BlockKind::kFull && count == kBlockKeys;
    for (int64_t first = 0; first < tile.rows(); first += kGroupRows) {
      attend_group<kPairs>(args, rules, tile, space, first, key, is_full,
                           Source::kScaled ? &scales : nullptr);
    }
  }
}

template <bool kPairs, class T, class KV, class Source>
void attend_tile(const AttentionArgs& args, const PairRules& rules, const Tile& tile,
                 const Source& source, const Workspace& space) {
  const int64_t width = round_up(args.value_dim, kWidth);
  const int64_t query_end = tile.query_begin + tile.num_queries;
  load_queries<kPairs, T>(args, tile, space.q, round_up(lanes_of<kPairs>(args.head_dim), kWidth));
  begin_total(args, tile, space.total, width);
  for (int64_t begin = 0; begin < rules.num_keys; begin += kSpanKeys) {
    const int64_t left = rules.num_keys - begin;
    const int64_t end = begin + (left < kSpanKeys ? left : kSpanKeys);
    const bool skips = !rules.segment_ids && block_kind(rules, tile.query_begin, query_end, begin,
                                                        end) == BlockKind::kSkip;
    if (skips) continue;
    clear(space.span, tile.rows(), width);
    attend_span<kPairs, KV>(args, rules, tile, source, space, begin, end);
    merge(space.total, space.span, tile.rows(), width);
  }
  write_rows<T>(args, tile, space.total, width);
}

}  // namespace llmcore::cpu::LLMCORE_ISA
