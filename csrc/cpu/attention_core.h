// One tile of attention: some queries of one sequence, the query heads of some key/value heads, all
// keys or a span of them. Shared by contiguous and paged attention; a Source says where keys and
// values lie.
//
// The order in which a query's row is reduced is fixed by key positions alone. Blocks of 64 keys
// from multiples of 64 on: scores, block maximum, weights, and the weighted values key by key.
// Blocks of one span of kSpanKeys keys follow each other with a running maximum; spans, each begun
// afresh, are merged in order, so that spans may be computed apart.
#pragma once

#include <cstdint>

#include "cpu/attention_mask.h"
#include "cpu/attention_softmax.h"
#include "cpu/attention_state.h"
#include "ops/attention.h"

namespace llmcore::cpu::LLMCORE_ISA {

template <bool kPairs, class T>
void load_queries(const AttentionArgs& args, const Tile& tile, float* q) {
  const int64_t stride = round_up(lanes_of<kPairs>(args.head_dim), kWidth);
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

// Vectors of a block that hold its kept keys, and the keys themselves.
struct KeyRange {
  int64_t begin, end;
  int first_vector() const { return static_cast<int>(begin / kWidth); }
  int end_vector() const { return static_cast<int>((end + kWidth - 1) / kWidth); }
};

// What comes between the products of a group and its softmax; returns the unit of the scores.
inline float shape_group(const AttentionArgs& args, const PairRules& rules, const Tile& tile,
                         int64_t first, int64_t rows, int64_t key_begin, const KeyRange& keys,
                         const float* key_scale, float* scores) {
  const float unit = args.scale * kLog2E;
  const int begin = keys.first_vector(), end = keys.end_vector();
  for (int64_t r = 0; r < rows && key_scale != nullptr; ++r) {
    for (int v = begin; v < end; ++v) {
      float* at = scores + r * kBlockKeys + v * kWidth;
      store(at, load(at) * load(key_scale + v * kWidth));
    }
  }
  if (!shapes_scores(args) && unit > 0) return unit;
  for (int64_t r = 0; r < rows; ++r) {
    const int64_t query = tile.query(first + r);
    const ScoreRow row{tile.sequence, tile.head(first + r), query, position_of(rules, query),
                       key_begin};
    shape_scores(args, row, begin, end, rules.num_keys, scores + r * kBlockKeys);
  }
  return kLog2E;
}

// The values of one head, and what is read meanwhile.
template <class Values>
struct HeadBlock {
  int64_t key_begin;
  bool is_full;         // every pair is kept
  const float* scales;  // of keys and values, still to be multiplied in, or null
  const Values& values;
  RowsAhead& ahead;
};

// One group of rows meets a block: packed, or scores are there already.
template <bool kPairs, class Values>
void attend_group(const AttentionArgs& args, const PairRules& rules, const Tile& tile,
                  const Workspace& space, int64_t first, const HeadBlock<Values>& block) {
  const int64_t key_begin = block.key_begin;
  const float* scales = block.scales;
  bool is_full = block.is_full;
  const int64_t left = tile.rows() - first, rows = left < kGroupRows ? left : kGroupRows;
  KeyRange keys{0, kBlockKeys};
  GroupBits bits{};
  if (!is_full) {
    bits = group_bits(rules, tile, first, rows, key_begin);
    if (bits.any == 0) return;
    is_full = bits.all == ~uint64_t{0};
    keys = {__builtin_ctzll(bits.any), kBlockKeys - __builtin_clzll(bits.any)};
  }
  const int64_t depth = lanes_of<kPairs>(args.head_dim), q_stride = round_up(depth, kWidth);
  const int64_t width = round_up(args.value_dim, kWidth);
  float* scores = space.scores + (Values::kPacked ? 0 : first * kBlockKeys);
  if constexpr (Values::kPacked) {
    score_group<kPairs, kBlockKeys>(space.q + first * q_stride, q_stride, rows, space.keys, depth,
                                    keys.first_vector(), keys.end_vector(), scores);
  }
  const float unit = shape_group(args, rules, tile, first, rows, key_begin, keys, scales, scores);
  float rescale[round_up(kGroupRows, kWidth)];
  alignas(64) float drop[kGroupRows * kBlockKeys];
  for (int64_t r = 0; r < rows && args.dropout > 0; ++r) {
    const int64_t row = tile.sequence * args.num_heads + tile.head(first + r);
    dropout_factors(args, row, tile.query(first + r), key_begin, drop + r * kBlockKeys);
  }
  const float* factors = scales != nullptr ? scales + kBlockKeys : nullptr;  // int8 has no dropout
  const GroupScores group{.scores = scores,
                          .weights = space.weights,
                          .rescale = rescale,
                          .bits = is_full ? nullptr : bits.rows,
                          .factors = args.dropout > 0 ? drop : factors,
                          .factor_stride = args.dropout > 0 ? kBlockKeys : 0,
                          .unit = unit,
                          .begin = keys.first_vector(),
                          .end = keys.end_vector()};
  softmax_group<kPairs>(group, rows, space.span.max + first, space.span.sum + first * kWidth);
  constexpr int64_t kStep = kPairs ? 2 : 1;
  const ValueRange<Values> values{block.values, width, keys.begin / kStep,
                                  (keys.end + kStep - 1) / kStep, block.ahead};
  value_group<kPairs>(space.weights, rescale, rows, values, space.span.out + first * width);
}

inline RowState state_from(const RowState& state, int64_t row, int64_t width) {
  return {state.max + row, state.sum + row * kWidth, state.out + row * width};
}

// The part of the rows from `row` on.
template <bool kPairs>
Workspace rows_from(Workspace space, const AttentionArgs& args, int64_t row) {
  space.q += row * round_up(lanes_of<kPairs>(args.head_dim), kWidth);
  space.span = state_from(space.span, row, round_up(args.value_dim, kWidth));
  return space;
}

// Keys [begin, begin + count), of which every pair is kept if it is full.
struct Block {
  int64_t begin, count;
  bool is_full;
};

// The first block from `key` on that may have a kept pair; no keys if there is none.
inline Block next_block(const PairRules& rules, const Tile& tile, int64_t key, int64_t end) {
  for (; key < end; key += kBlockKeys) {
    const int64_t left = rules.num_keys - key, count = left < kBlockKeys ? left : kBlockKeys;
    const BlockKind kind =
        block_kind(rules, tile.query_begin, tile.query_begin + tile.num_queries, key, key + count);
    if (kind == BlockKind::kSkip) continue;
    return {key, count, kind == BlockKind::kFull && count == kBlockKeys};
  }
  return {end, 0, false};
}

// The scores of few rows against the keys of one head, packed strip by strip.
template <bool kPairs, class KV>
void score_strips(const AttentionArgs& args, int64_t num_rows, const BlockRows& block,
                  int64_t offset, const Workspace& space, RowsAhead& ahead) {
  const int64_t depth = lanes_of<kPairs>(args.head_dim), q_stride = round_up(depth, kWidth);
  for (int64_t key = 0; key < block.count; key += kStripKeys) {
    pack_keys<kPairs, kStripKeys, KV>(block, key, key + kStripKeys, offset, args.head_dim,
                                      space.scales, ahead, space.keys);
    const int vectors = block.count - key > kWidth ? 2 : 1;
    for (int64_t row = 0; row < num_rows; row += kGroupRows) {
      const int64_t left = num_rows - row;
      score_group<kPairs, kStripKeys>(space.q + row * q_stride, q_stride,
                                      left < kGroupRows ? left : kGroupRows, space.keys, depth, 0,
                                      vectors, space.scores + row * kBlockKeys + key);
    }
  }
}

// The rows of one key/value head meet one block.
template <bool kPairs, class KV, class Source>
void attend_head(const AttentionArgs& args, const PairRules& rules, const Tile& tile,
                 const Source& source, const Workspace& space, const Block& block,
                 const BlockRows& rows, RowsAhead& keys_ahead, RowsAhead& values_ahead) {
  if constexpr (Source::kScaled) {
    source.scales(tile.kv_head, block.begin, block.count, space.scales, space.scales + kBlockKeys);
  }
  const int64_t k_offset = tile.kv_head * source.k_head_bytes;
  const auto attend = [&](const auto& values) {
    const HeadBlock head{block.begin, block.is_full,
                         Source::kScaled && kPairs ? space.scales : nullptr, values, values_ahead};
    for (int64_t row = 0; row < tile.rows(); row += kGroupRows) {
      attend_group<kPairs>(args, rules, tile, space, row, head);
    }
  };
  const PlacedValues<kPairs, KV> values{rows, tile.kv_head * source.v_head_bytes, args.value_dim,
                                        space.scales + kBlockKeys};
  if (tile.rows() <= kRowsInPlace) {
    score_strips<kPairs, KV>(args, tile.rows(), rows, k_offset, space, keys_ahead);
    return attend(values);
  }
  pack_keys<kPairs, kBlockKeys, KV>(rows, 0, kBlockKeys, k_offset, args.head_dim, space.scales,
                                    keys_ahead, space.keys);
  pack_values(values, values_ahead, space.values);
  attend(PackedValues{space.values, round_up(args.value_dim, kWidth)});
}

// Keys [begin, end) of one span, end not beyond the last key, for the tile of num_parts key/value
// heads from the first on, whose rows follow each other; leaves the result in space.span.
template <bool kPairs, class KV, class Source>
void attend_span(const AttentionArgs& args, const PairRules& rules, const Tile& first_tile,
                 int64_t num_parts, const Source& source, const Workspace& space, int64_t begin,
                 int64_t end) {
  constexpr auto kBytes = static_cast<int64_t>(sizeof(KV));
  const int64_t group = args.num_heads / args.num_kv_heads, rows = first_tile.rows();
  clear(space.span, rows * num_parts, round_up(args.value_dim, kWidth));
  BlockRows here, next_rows;
  Block block = next_block(rules, first_tile, begin, end);
  if (block.count > 0) source.fill(block.begin, block.count, here);
  while (block.count > 0) {
    here.pad_keys();
    const Block next = next_block(rules, first_tile, block.begin + kBlockKeys, end);
    next_rows.count = 0;
    if (next.count > 0) source.fill(next.begin, next.count, next_rows);
    for (int64_t part = 0; part < num_parts; ++part) {
      const bool is_last = part + 1 == num_parts;
      const BlockRows& ahead = is_last ? next_rows : here;
      const int64_t head = first_tile.kv_head + (is_last ? 0 : part + 1);
      RowsAhead keys_ahead(ahead.k, ahead.count, head * source.k_head_bytes,
                           args.head_dim * kBytes);
      RowsAhead values_ahead(ahead.v, ahead.count, head * source.v_head_bytes,
                             args.value_dim * kBytes);
      attend_head<kPairs, KV>(args, rules, next_head(first_tile, part, group), source,
                              rows_from<kPairs>(space, args, part * rows), block, here, keys_ahead,
                              values_ahead);
    }
    block = next;
    here = next_rows;
  }
}

// All keys for the queries of a tile.
template <bool kPairs, class T, class KV, class Source>
void attend_tile(const AttentionArgs& args, const PairRules& rules, const Tile& tile,
                 const Source& source, const Workspace& space) {
  const int64_t width = round_up(args.value_dim, kWidth);
  const int64_t query_end = tile.query_begin + tile.num_queries;
  load_queries<kPairs, T>(args, tile, space.q);
  begin_total(args, tile, space.total, width);
  for (int64_t begin = 0; begin < rules.num_keys; begin += kSpanKeys) {
    const int64_t left = rules.num_keys - begin;
    const int64_t end = begin + (left < kSpanKeys ? left : kSpanKeys);
    if (block_kind(rules, tile.query_begin, query_end, begin, end) == BlockKind::kSkip) continue;
    attend_span<kPairs, KV>(args, rules, tile, 1, source, space, begin, end);
    merge(space.total, space.span, tile.rows(), width);
  }
  write_rows<T>(args, tile, space.total, width);
}

}  // namespace llmcore::cpu::LLMCORE_ISA
