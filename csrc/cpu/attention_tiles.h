// The arithmetic of attention on small tiles: groups of up to kGroupRows query rows in registers
// meet packed keys and values. A score is one chain over channels and an output one chain over
// keys, whatever the tile.
#pragma once

#include <cstdint>

#include "cpu/attention_packing.h"

namespace llmcore::cpu::LLMCORE_ISA {

// scores[r][64] of kRows rows and kVectors vectors of keys: q is [kRows][q_stride] lanes, keys
// [depth][kStride].
template <bool kPairs, int64_t kStride, int kRows, int kVectors>
void score_tile(const float* q, int64_t q_stride, const float* keys, int64_t depth, float* scores) {
  VecF sums[kRows][kVectors] = {};
  for (int64_t i = 0; i < depth; ++i) {
    VecF k[kVectors];
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) k[v] = load(keys + i * kStride + v * kWidth);
#pragma GCC unroll 6
    for (int r = 0; r < kRows; ++r) {
      const VecF value = splat(q + r * q_stride + i);
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) sums[r][v] = multiply_add<kPairs>(k[v], value, sums[r][v]);
    }
  }
#pragma GCC unroll 6
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) store(scores + r * kBlockKeys + v * kWidth, sums[r][v]);
  }
}

// The values of a block, the steps of it that are kept, and the rows of the next block.
template <class Values>
struct ValueRange {
  const Values& values;
  int64_t width;  // of the outputs
  int64_t begin, end;
  RowsAhead& ahead;
};

// out[r][c] = out[r][c] * rescale[r] + sum_j weights[r][j] values[j][c] for kVectors vectors from
// channel c on: a row of weights is weight_lanes<kPairs>() lanes.
template <bool kPairs, bool kWhole, int kRows, int kVectors, class Values>
void value_tile(const float* weights, const float* rescale, const ValueRange<Values>& at, int64_t c,
                float* out) {
  const int64_t width = at.width;
  out += c;
  VecF sums[kRows][kVectors];
#pragma GCC unroll 6
  for (int r = 0; r < kRows; ++r) {
    const VecF factor = splat(rescale + r);
#pragma GCC unroll 4
    for (int i = 0; i < kVectors; ++i) sums[r][i] = load(out + r * width + i * kWidth) * factor;
  }
  RowsAhead ahead = at.ahead;
  const int64_t lines = at.values.lines(kVectors);
  for (int64_t j = at.begin; j < at.end; ++j) {
    VecF v[kVectors];
    at.values.template load_step<kWhole>(j, c, v);
    ahead.fetch(lines);
#pragma GCC unroll 6
    for (int r = 0; r < kRows; ++r) {
      const VecF weight = splat(weights + r * weight_lanes<kPairs>() + j);
#pragma GCC unroll 4
      for (int i = 0; i < kVectors; ++i) {
        sums[r][i] = multiply_add<kPairs>(v[i], weight, sums[r][i]);
      }
    }
  }
  at.ahead = ahead;
#pragma GCC unroll 6
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
    for (int i = 0; i < kVectors; ++i) store(out + r * width + i * kWidth, sums[r][i]);
  }
}

}  // namespace llmcore::cpu::LLMCORE_ISA
