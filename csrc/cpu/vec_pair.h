// Pairs: 2 * kWidth elements at a time, the fastest way through 16-bit data. A register of bfloat16
// splits into its even and its odd elements with one shift and one mask, and joins again as
// cheaply, where single vectors widen and pack. So which element sits in which lane depends on T:
// combine pairs of one T only, and keep float32 companions (gains, partial sums) in that lane
// order, made by load_pair<T> and stored with store_pair<float>.
#pragma once

#include "cpu/vec.h"

namespace llmcore::cpu::LLMCORE_ISA {

struct VecPair {
  VecF a;
  VecF b;
};

inline VecPair split_bfloat16(VecU bits) {
  return {(VecF)(bits << 16), (VecF)(bits & 0xFFFF0000u)};
}

inline VecU join_bfloat16(VecPair v) {
#if defined(__AVX512BF16__)
  const __m512i lanes = _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24,
                                         8, 23, 7, 22, 6, 21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
  const __m512bh packed = _mm512_cvtne2ps_pbh((__m512)v.b, (__m512)v.a);
  __m512i bits;
  __builtin_memcpy(&bits, &packed, sizeof(bits));
  return (VecU)_mm512_permutexvar_epi16(lanes, bits);
#else
  return (round_to_bfloat16(v.a) >> 16) | (round_to_bfloat16(v.b) & 0xFFFF0000u);
#endif
}

// 2 * kWidth 16-bit numbers fill a register: its first n, the others zero; n <= 2 * kWidth.
inline VecU load_register_tail(const uint16_t* p, int64_t n) {
#if defined(__AVX512F__)
  return (VecU)_mm512_maskz_loadu_epi16(static_cast<__mmask32>((uint64_t{1} << n) - 1), p);
#elif defined(__AVX2__)
  const __m128i high = n > 8 ? load_up_to_8(p + 8, n - 8) : _mm_setzero_si128();
  return (VecU)_mm256_set_m128i(high, load_up_to_8(p, n));
#elif defined(__SSE2__)
  return (VecU)load_up_to_8(p, n);
#else
  uint16_t buffer[2 * kWidth] = {};
  for (int64_t i = 0; i < n; ++i) buffer[i] = p[i];
  VecU out;
  __builtin_memcpy(&out, buffer, sizeof(out));
  return out;
#endif
}
inline void store_register_tail(uint16_t* p, VecU bits, int64_t n) {
#if defined(__AVX512F__)
  _mm512_mask_storeu_epi16(p, static_cast<__mmask32>((uint64_t{1} << n) - 1), (__m512i)bits);
#elif defined(__AVX2__)
  store_up_to_8(p, _mm256_castsi256_si128((__m256i)bits), n);
  if (n > 8) store_up_to_8(p + 8, _mm256_extracti128_si256((__m256i)bits, 1), n - 8);
#elif defined(__SSE2__)
  store_up_to_8(p, (__m128i)bits, n);
#else
  uint16_t buffer[2 * kWidth];
  __builtin_memcpy(buffer, &bits, sizeof(bits));
  for (int64_t i = 0; i < n; ++i) p[i] = buffer[i];
#endif
}

template <class T>
inline VecPair load_pair(const T* p) {
  return {load(p), load(p + kWidth)};
}
template <>
inline VecPair load_pair(const BFloat16* p) {
  VecU bits;
  __builtin_memcpy(&bits, p, sizeof(bits));
  return split_bfloat16(bits);
}

template <class T>
inline void store_pair(T* p, VecPair v) {
  store(p, v.a);
  store(p + kWidth, v.b);
}
template <>
inline void store_pair(BFloat16* p, VecPair v) {
  const VecU bits = join_bfloat16(v);
  __builtin_memcpy(p, &bits, sizeof(bits));
}

// Non-temporal; p aligned to 4 * kWidth bytes.
template <class T>
inline void stream_pair(T* p, VecPair v) {
  stream(p, v.a);
  stream(p + kWidth, v.b);
}
template <>
inline void stream_pair(BFloat16* p, VecPair v) {
  stream(reinterpret_cast<float*>(p), (VecF)join_bfloat16(v));
}

// n <= 2 * kWidth elements; lanes beyond n read as zero.
template <class T>
inline VecPair load_pair_tail(const T* p, int64_t n) {
  if (n <= kWidth) return {load_tail(p, n), VecF{}};
  return {load(p), load_tail(p + kWidth, n - kWidth)};
}
template <>
inline VecPair load_pair_tail(const BFloat16* p, int64_t n) {
  return split_bfloat16(load_register_tail(bits_of(p), n));
}

template <class T>
inline void store_pair_tail(T* p, VecPair v, int64_t n) {
  if (n <= kWidth) return store_tail(p, v.a, n);
  store(p, v.a);
  store_tail(p + kWidth, v.b, n - kWidth);
}
template <>
inline void store_pair_tail(BFloat16* p, VecPair v, int64_t n) {
  store_register_tail(bits_of(p), join_bfloat16(v), n);
}

}  // namespace llmcore::cpu::LLMCORE_ISA
