// A square of lanes turned over its diagonal, in registers.
#pragma once

#include "cpu/vec.h"

namespace llmcore::cpu::LLMCORE_ISA {

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

}  // namespace llmcore::cpu::LLMCORE_ISA
