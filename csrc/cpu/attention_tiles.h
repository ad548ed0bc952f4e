// The arithmetic of attention on small tiles: blocks of keys and values are packed once, then meet
// groups of up to kGroupRows query rows in registers.
//
// Packed numbers are 4-byte lanes: a float32, or two neighbouring bfloat16 for the dot instruction.
//   keys    [depth][64]         lane (i, j): channel i, or channels 2i and 2i + 1, of key j
//   values  [steps][width]      lane (j, c): channel c of key j, or of keys 2j and 2j + 1
// So a score is one chain over channels and an output one chain over keys, whatever the tile.
#pragma once

#include <cstdint>

#include "cpu/attention_mask.h"
#include "cpu/vec.h"
#include "cpu/vec_math.h"

namespace llmcore::cpu::LLMCORE_ISA {

constexpr int kGroupRows = 6;
constexpr int kBlockVectors = static_cast<int>(kBlockKeys) / kWidth;
#if defined(__AVX512F__)
constexpr int kTileVectors = 4;  // 6 x 4 accumulators, 4 operands and a broadcast: 29 of 32
#else
constexpr int kTileVectors = 2;  // 6 x 2 accumulators, 2 operands and a broadcast: 15 of 16
#endif

inline VecF splat(const float* p) {
#if defined(__AVX512F__)
  return (VecF)_mm512_set1_ps(*p);
#elif defined(__AVX2__)
  return (VecF)_mm256_broadcast_ss(p);
#elif defined(__SSE2__)
  return (VecF)_mm_set1_ps(*p);
#else
  VecF v;
  for (int i = 0; i < kWidth; ++i) v[i] = *p;
  return v;
#endif
}

// Adds the product of two lanes of float32, or the two products of lanes of bfloat16 pairs.
template <bool kPairs>
inline VecF multiply_add(VecF a, VecF b, VecF sum) {
#if defined(__AVX512BF16__)
  if constexpr (kPairs) {
    return (VecF)_mm512_dpbf16_ps((__m512)sum, (__m512bh)a, (__m512bh)b);
  }
#endif
  return fused_multiply_add(a, b, sum);
}

// --- packing -----------------------------------------------------------------------------------

inline void transpose_lanes(VecF (&rows)[kWidth]) {
#if defined(__AVX512F__)
  __m512 a[16], b[16];
#pragma GCC unroll 16
  for (int i = 0; i < 16; i += 2) {
    a[i] = _mm512_unpacklo_ps((__m512)rows[i], (__m512)rows[i + 1]);
    a[i + 1] = _mm512_unpackhi_ps((__m512)rows[i], (__m512)rows[i + 1]);
  }
#pragma GCC unroll 4
  for (int i = 0; i < 16; i += 4) {
    for (int half = 0; half < 2; ++half) {
      const __m512d low = _mm512_castps_pd(a[i + half]), high = _mm512_castps_pd(a[i + 2 + half]);
      b[i + 2 * half] = _mm512_castpd_ps(_mm512_unpacklo_pd(low, high));
      b[i + 2 * half + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(low, high));
    }
  }
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {  // b[4 g + i]: columns i, 4 + i, 8 + i, 12 + i of rows 4 g ...
    a[i] = _mm512_shuffle_f32x4(b[i], b[4 + i], 0x88);
    a[4 + i] = _mm512_shuffle_f32x4(b[i], b[4 + i], 0xDD);
    a[8 + i] = _mm512_shuffle_f32x4(b[8 + i], b[12 + i], 0x88);
    a[12 + i] = _mm512_shuffle_f32x4(b[8 + i], b[12 + i], 0xDD);
  }
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
    rows[i] = (VecF)_mm512_shuffle_f32x4(a[i], a[8 + i], 0x88);
    rows[8 + i] = (VecF)_mm512_shuffle_f32x4(a[i], a[8 + i], 0xDD);
    rows[4 + i] = (VecF)_mm512_shuffle_f32x4(a[4 + i], a[12 + i], 0x88);
    rows[12 + i] = (VecF)_mm512_shuffle_f32x4(a[4 + i], a[12 + i], 0xDD);
  }
#elif defined(__AVX2__)
  __m256 a[8], b[8];
#pragma GCC unroll 4
  for (int i = 0; i < 8; i += 2) {
    a[i] = _mm256_unpacklo_ps((__m256)rows[i], (__m256)rows[i + 1]);
    a[i + 1] = _mm256_unpackhi_ps((__m256)rows[i], (__m256)rows[i + 1]);
  }
#pragma GCC unroll 2
  for (int i = 0; i < 8; i += 4) {
    b[i] = _mm256_shuffle_ps(a[i], a[i + 2], 0x44);
    b[i + 1] = _mm256_shuffle_ps(a[i], a[i + 2], 0xEE);
    b[i + 2] = _mm256_shuffle_ps(a[i + 1], a[i + 3], 0x44);
    b[i + 3] = _mm256_shuffle_ps(a[i + 1], a[i + 3], 0xEE);
  }
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
    rows[i] = (VecF)_mm256_permute2f128_ps(b[i], b[4 + i], 0x20);
    rows[4 + i] = (VecF)_mm256_permute2f128_ps(b[i], b[4 + i], 0x31);
  }
#elif defined(__SSE2__)
  __m128 a = (__m128)rows[0], b = (__m128)rows[1], c = (__m128)rows[2], d = (__m128)rows[3];
  _MM_TRANSPOSE4_PS(a, b, c, d);
  rows[0] = (VecF)a;
  rows[1] = (VecF)b;
  rows[2] = (VecF)c;
  rows[3] = (VecF)d;
#else
  VecF columns[kWidth] = {};
  for (int i = 0; i < kWidth; ++i) {
    for (int j = 0; j < kWidth; ++j) columns[i][j] = rows[j][i];
  }
  for (int i = 0; i < kWidth; ++i) rows[i] = columns[i];
#endif
}

struct Int8 {
  int8_t bits;
};

inline VecF load(const Int8* p) {
#if defined(__AVX512F__)
  const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
  return (VecF)_mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(bytes));
#elif defined(__AVX2__)
  const __m128i bytes = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(p));
  return (VecF)_mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(bytes));
#else
  VecF v;
  for (int i = 0; i < kWidth; ++i) v[i] = static_cast<float>(p[i].bits);
  return v;
#endif
}

// kWidth lanes from channel `at` on of a row of `count` channels; zeros beyond them.
template <bool kPairs, class T>
inline VecF load_lanes(const T* row, int64_t at, int64_t count) {
#if defined(__AVX512BF16__)
  if constexpr (kPairs) {
    const int64_t first = 2 * at;
    if constexpr (sizeof(T) == 2) {  // bfloat16 as it is
      const int64_t left = count - first;
      const __mmask32 there =
          left >= 32 ? ~__mmask32{0} : (left > 0 ? (__mmask32{1} << left) - 1 : 0);
      return (VecF)_mm512_maskz_loadu_epi16(there, row + first);
    } else {
      VecF half[2] = {};
      for (int h = 0; h < 2; ++h) {
        const int64_t left = count - first - h * kWidth;
        if (left > 0)
          half[h] = left >= kWidth ? load(row + first + h * kWidth)
                                   : load_tail(row + first + h * kWidth, left);
      }
      return (VecF)_mm512_cvtne2ps_pbh((__m512)half[1], (__m512)half[0]);
    }
  }
#endif
  const int64_t left = count - at;
  return left >= kWidth ? load(row + at) : load_tail(row + at, left);
}

template <bool kPairs>
constexpr int64_t lanes_of(int64_t channels) {
  return kPairs ? (channels + 1) / 2 : channels;
}

constexpr int64_t round_up(int64_t n, int64_t multiple) {
  return (n + multiple - 1) / multiple * multiple;
}

// The next block of rows, asked for while this one is read.
inline void prefetch_row(const void* row, int64_t num_bytes) {
  for (int64_t at = 0; at < num_bytes; at += 64) {
    __builtin_prefetch(static_cast<const char*>(row) + at, 0, 2);
  }
}

// Keys beyond `count` are packed as zeros up to the next vector and left as they are from there.
template <bool kPairs, class T>
void pack_keys(const void* const* rows, const void* const* next, int64_t count, int64_t channels,
               float* packed) {
  const int64_t depth = lanes_of<kPairs>(channels);
  for (int64_t key = 0; key < count; key += kWidth) {
    const int64_t there = count - key < kWidth ? count - key : kWidth;
    for (int64_t j = key; j < key + there; ++j) {
      if (next[j] != nullptr) prefetch_row(next[j], channels * static_cast<int64_t>(sizeof(T)));
    }
    for (int64_t i = 0; i < depth; i += kWidth) {
      VecF tile[kWidth];
#pragma GCC unroll 16
      for (int j = 0; j < kWidth; ++j) {
        tile[j] = j < there ? load_lanes<kPairs>(static_cast<const T*>(rows[key + j]), i, channels)
                            : VecF{};
      }
      transpose_lanes(tile);
      const int64_t lanes = depth - i < kWidth ? depth - i : kWidth;
      float* to = packed + i * kBlockKeys + key;
      if (lanes == kWidth) {
#pragma GCC unroll 16
        for (int j = 0; j < kWidth; ++j) store(to + j * kBlockKeys, tile[j]);
      } else {
        for (int j = 0; j < lanes; ++j) store(to + j * kBlockKeys, tile[j]);
      }
    }
  }
}

// Two rows of values as lanes of pairs; `second` may be absent.
template <class T>
inline VecF interleave(VecF first, VecF second) {
#if defined(__AVX512BF16__)
  // Exact: both came from bfloat16 or from int8.
  return (VecF)(((VecU)first >> 16) | ((VecU)second & 0xFFFF0000u));
#else
  return first + second;  // not used without the dot instruction
#endif
}

template <bool kPairs, class T>
void pack_values(const void* const* rows, const void* const* next, int64_t count, int64_t channels,
                 float* packed) {
  const int64_t width = round_up(channels, kWidth);
  constexpr int64_t kStep = kPairs ? 2 : 1;
  for (int64_t key = 0; key < count; key += kStep) {
    float* to = packed + key / kStep * width;
    for (int64_t j = key; j < key + kStep && j < count; ++j) {
      if (next[j] != nullptr) prefetch_row(next[j], channels * static_cast<int64_t>(sizeof(T)));
    }
    const T* first = static_cast<const T*>(rows[key]);
    const T* second = kPairs && key + 1 < count ? static_cast<const T*>(rows[key + 1]) : nullptr;
    for (int64_t c = 0; c < width; c += kWidth) {
      VecF v = load_lanes<false>(first, c, channels);
      if constexpr (kPairs) {
        v = interleave<T>(v, second != nullptr ? load_lanes<false>(second, c, channels) : VecF{});
      }
      store(to + c, v);
    }
  }
}

// --- products ------------------------------------------------------------------------------------

// scores[r][64] of kRows rows and kVectors vectors of keys: q is [kRows][q_stride] lanes.
template <bool kPairs, int kRows, int kVectors>
void score_tile(const float* q, int64_t q_stride, const float* keys, int64_t depth, float* scores) {
  VecF sums[kRows][kVectors] = {};
  for (int64_t i = 0; i < depth; ++i) {
    VecF k[kVectors];
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) k[v] = load(keys + i * kBlockKeys + v * kWidth);
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

// out[r][c] = out[r][c] * rescale[r] + sum_j weights[r][j] values[j][c] for kVectors vectors of c
// and steps [begin, end): a row of weights is kWeightLanes lanes.
template <bool kPairs, int kRows, int kVectors>
void value_tile(const float* weights, const float* rescale, const float* values, int64_t width,
                int64_t begin, int64_t end, float* out) {
  constexpr int64_t kWeightLanes = kPairs ? kBlockKeys / 2 : kBlockKeys;
  VecF sums[kRows][kVectors];
#pragma GCC unroll 6
  for (int r = 0; r < kRows; ++r) {
    const VecF factor = splat(rescale + r);
#pragma GCC unroll 4
    for (int c = 0; c < kVectors; ++c) sums[r][c] = load(out + r * width + c * kWidth) * factor;
  }
  for (int64_t j = begin; j < end; ++j) {
    VecF v[kVectors];
#pragma GCC unroll 4
    for (int c = 0; c < kVectors; ++c) v[c] = load(values + j * width + c * kWidth);
#pragma GCC unroll 6
    for (int r = 0; r < kRows; ++r) {
      const VecF weight = splat(weights + r * kWeightLanes + j);
#pragma GCC unroll 4
      for (int c = 0; c < kVectors; ++c) {
        sums[r][c] = multiply_add<kPairs>(v[c], weight, sums[r][c]);
      }
    }
  }
#pragma GCC unroll 6
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
    for (int c = 0; c < kVectors; ++c) store(out + r * width + c * kWidth, sums[r][c]);
  }
}

}  // namespace llmcore::cpu::LLMCORE_ISA
