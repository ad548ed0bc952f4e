// A group of up to kGroupRows query rows against one block: scores, softmax, values.
#pragma once

#include <cstdint>

#include "cpu/attention_scores.h"
#include "cpu/attention_tiles.h"

namespace llmcore::cpu::LLMCORE_ISA {

// --- products over a group of rows ---------------------------------------------------------------

template <bool kPairs, int64_t kStride, int kRows>
void score_vectors(const float* q, int64_t q_stride, const float* keys, int64_t depth, int begin,
                   int end, float* scores) {
  for (int v = begin; v < end; v += kTileVectors) {
    const float* k = keys + v * kWidth;
    float* to = scores + v * kWidth;
    switch (end - v) {
      case 1:
        score_tile<kPairs, kStride, kRows, 1>(q, q_stride, k, depth, to);
        break;
#if defined(__AVX512F__)
      case 2:
        score_tile<kPairs, kStride, kRows, 2>(q, q_stride, k, depth, to);
        break;
      case 3:
        score_tile<kPairs, kStride, kRows, 3>(q, q_stride, k, depth, to);
        break;
#endif
      default:
        score_tile<kPairs, kStride, kRows, kTileVectors>(q, q_stride, k, depth, to);
    }
  }
}

template <bool kPairs, int64_t kStride>
void score_group(const float* q, int64_t q_stride, int64_t rows, const float* keys, int64_t depth,
                 int begin, int end, float* scores) {
  if (rows == kGroupRows) {
    return score_vectors<kPairs, kStride, kGroupRows>(q, q_stride, keys, depth, begin, end, scores);
  }
  int64_t r = 0;
  for (; r + 4 <= rows; r += 4) {
    score_vectors<kPairs, kStride, 4>(q + r * q_stride, q_stride, keys, depth, begin, end,
                                      scores + r * kBlockKeys);
  }
  for (; r + 2 <= rows; r += 2) {
    score_vectors<kPairs, kStride, 2>(q + r * q_stride, q_stride, keys, depth, begin, end,
                                      scores + r * kBlockKeys);
  }
  if (r < rows) {
    score_vectors<kPairs, kStride, 1>(q + r * q_stride, q_stride, keys, depth, begin, end,
                                      scores + r * kBlockKeys);
  }
}

template <bool kPairs, int kRows, class Values>
void value_columns(const float* weights, const float* rescale, const ValueRange<Values>& at,
                   float* out) {
  const int64_t whole = at.values.whole_channels();
  int64_t c = 0;
  for (; c + kTileVectors * kWidth <= whole; c += kTileVectors * kWidth) {
    value_tile<kPairs, true, kRows, kTileVectors>(weights, rescale, at, c, out);
  }
#if defined(__AVX512F__)
  for (; c + 2 * kWidth <= whole; c += 2 * kWidth) {
    value_tile<kPairs, true, kRows, 2>(weights, rescale, at, c, out);
  }
#endif
  for (; c < whole; c += kWidth) {
    value_tile<kPairs, true, kRows, 1>(weights, rescale, at, c, out);
  }
  if (c < at.width) value_tile<kPairs, false, kRows, 1>(weights, rescale, at, c, out);
}

template <bool kPairs, class Values>
void value_group(const float* weights, const float* rescale, int64_t rows,
                 const ValueRange<Values>& at, float* out) {
  if (rows == kGroupRows) {
    return value_columns<kPairs, kGroupRows>(weights, rescale, at, out);
  }
  int64_t r = 0;
  for (; r + 4 <= rows; r += 4) {
    value_columns<kPairs, 4>(weights + r * weight_lanes<kPairs>(), rescale + r, at,
                             out + r * at.width);
  }
  for (; r + 2 <= rows; r += 2) {
    value_columns<kPairs, 2>(weights + r * weight_lanes<kPairs>(), rescale + r, at,
                             out + r * at.width);
  }
  if (r < rows) {
    value_columns<kPairs, 1>(weights + r * weight_lanes<kPairs>(), rescale + r, at,
                             out + r * at.width);
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

// What one block does to the state of a group of rows. Scores are kept as they come from the
// products; `unit` turns them into powers of two, the unit of all maxima.
struct GroupScores {
  float* scores;         // [rows][64]
  float* weights;        // out
  float* rescale;        // out: 2^(old maximum - new maximum)
  const uint64_t* bits;  // kept keys per row, or null for all
  const float* factors;  // of the weights [rows][factor_stride], or null
  int64_t factor_stride;
  float unit;      // positive
  int begin, end;  // vectors
};

template <bool kAll>
float largest_score(const GroupScores& group, int64_t r) {
  float* scores = group.scores + r * kBlockKeys;
  VecF largest = VecF{} - __builtin_inff();
  for (int v = kAll ? 0 : group.begin; v < (kAll ? kBlockVectors : group.end); ++v) {
    VecF z = load(scores + v * kWidth);
    if constexpr (!kAll) {
      if (group.bits != nullptr) {
        z = keep_lanes(z, group.bits[r] >> (v * kWidth));
        store(scores + v * kWidth, z);
      }
    }
    largest = maximum(largest, z);
  }
  return largest_lane(largest) * group.unit;
}

template <bool kPairs, bool kAll>
void weigh_row(const GroupScores& group, int64_t r, float max, float* sum) {
  const float* scores = group.scores + r * kBlockKeys;
  float* weights = group.weights + r * weight_lanes<kPairs>();
  const VecF lowered = VecF{} - max, unit = splat(&group.unit);
  VecF parts[4] = {};
#pragma GCC unroll 4
  for (int v = kAll ? 0 : group.begin; v < (kAll ? kBlockVectors : group.end); ++v) {
    VecF p = power_of_two(fused_multiply_add(load(scores + v * kWidth), unit, lowered));
    parts[v % 4] += p;
    if (group.factors != nullptr) p *= load(group.factors + r * group.factor_stride + v * kWidth);
    store_weights<kPairs>(weights, v, p);
  }
  const VecF added = (parts[0] + parts[1]) + (parts[2] + parts[3]);
  store(sum, fused_multiply_add(load(sum), splat(group.rescale + r), added));
}

template <bool kPairs, bool kAll>
void weigh_group(const GroupScores& group, int64_t rows, float* max, float* sum) {
  float change[round_up(kGroupRows, kWidth)] = {}, highest[kGroupRows];
  for (int64_t r = 0; r < rows; ++r) {
    const float found = largest_score<kAll>(group, r);
    highest[r] = max[r] > found ? max[r] : found;
    change[r] = max[r] - highest[r];
  }
  for (int64_t r = 0; r < rows; r += kWidth) {
    store(group.rescale + r, power_of_two(load(change + r)));
  }
  for (int64_t r = 0; r < rows; ++r) {
    weigh_row<kPairs, kAll>(group, r, highest[r], sum + r * kWidth);
    max[r] = highest[r];
  }
}

template <bool kPairs>
void softmax_group(const GroupScores& group, int64_t rows, float* max, float* sum) {
  const bool all = group.bits == nullptr && group.begin == 0 && group.end == kBlockVectors;
  if (all) {
    weigh_group<kPairs, true>(group, rows, max, sum);
  } else {
    weigh_group<kPairs, false>(group, rows, max, sum);
  }
}

}  // namespace llmcore::cpu::LLMCORE_ISA
