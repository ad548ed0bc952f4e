// What a tile of attention works on: its rows, its memory, and the running state of each row, which
// spans of keys leave and merge.
#pragma once

#include <cstdint>

#include "cpu/attention_softmax.h"
#include "ops/attention.h"

namespace llmcore::cpu::LLMCORE_ISA {

constexpr int64_t kSpanKeys = 1024;
// So few rows per key/value head that a whole block of it is not packed first: keys are by strips,
// which stay in the first-level cache, and values are read where they lie, at most by two groups.
constexpr int64_t kRowsInPlace = 2 * kGroupRows;
constexpr int64_t kStripKeys = 2 * kWidth;
constexpr float kLog2E = 1.44269504088896341f;
constexpr float kLn2 = 0.693147180559945309f;
constexpr float kLowest = -3.40282347e38f;  // a maximum over nothing: finite, so x - x is 0

// Keys and values of one sequence in memory of fixed strides.
struct StridedRows {
  const char* k;
  const char* v;
  int64_t k_token_bytes, v_token_bytes;
  int64_t k_head_bytes, v_head_bytes;

  void fill(int64_t begin, int64_t count, BlockRows& block) const {
    block.count = count;
    for (int64_t j = 0; j < count; ++j) {
      block.k[j] = k + (begin + j) * k_token_bytes;
      block.v[j] = v + (begin + j) * v_token_bytes;
    }
  }
  static constexpr bool kScaled = false;
  void scales(int64_t, int64_t, int64_t, float*, float*) const {}
};

// Queries and query heads of one key/value head.
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

// The tile of the same queries that belongs to the n-th next key/value head.
inline Tile next_head(Tile tile, int64_t n, int64_t group) {
  tile.kv_head += n;
  tile.head_begin += n * group;
  return tile;
}

// The running state of rows: maximum in powers of two, sum of 2^(score - maximum) by lane, weighted
// values.
struct RowState {
  float* max;
  float* sum;
  float* out;
};

struct Workspace {
  float* q;        // [rows][depth] lanes
  float* keys;     // [depth][64], or [depth][kStripKeys]
  float* values;   // [64][width]
  float* scales;   // [keys, values][64], of an int8 cache
  float* scores;   // [kRowsInPlace][64]
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
  space.scales = take(2 * kBlockKeys);
  space.scores = take(kRowsInPlace * kBlockKeys);
  space.weights = take(kGroupRows * kBlockKeys);
  space.span = {take(rows), take(rows * kWidth), take(rows * width)};
  space.total = {take(rows), take(rows * kWidth), take(rows * width)};
  *num_bytes = used * 4;
  return space;
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
    store(factors, power_of_two(load(factors)));
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
    total.max[r] = sink * kLog2E;
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
    args.lse[row] = empty ? -__builtin_inff() : total.max[r] * kLn2 + __builtin_logf(sum);
  }
}

}  // namespace llmcore::cpu::LLMCORE_ISA
