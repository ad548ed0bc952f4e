// float32 vectors of the instruction set being compiled, with loads and stores that convert from
// and to the storage types. Everything lives in that set's namespace and nothing here calls a
// std template: the linker must never merge one set's inline code into another set's.
#pragma once

#include <cstdint>

#if defined(__SSE2__)
#include <immintrin.h>
#endif

#include "cpu/isa_variant.h"

namespace llmcore::cpu::LLMCORE_ISA {

#if defined(__AVX512F__)
constexpr int kWidth = 16;
#elif defined(__AVX2__)
constexpr int kWidth = 8;
#else
constexpr int kWidth = 4;
#endif

typedef float VecF __attribute__((vector_size(kWidth * 4)));
typedef int32_t VecI __attribute__((vector_size(kWidth * 4)));
typedef uint32_t VecU __attribute__((vector_size(kWidth * 4)));
typedef uint16_t VecU16 __attribute__((vector_size(kWidth * 2)));

struct BFloat16 {
  uint16_t bits;
};
struct Float16 {
  uint16_t bits;
};

inline VecF broadcast(float value) {
  return VecF{} + value;
}

// --- scalar conversions of float16, for sets without hardware conversion and for tails -----------

inline float half_to_float(uint16_t half) {
  const uint32_t sign = static_cast<uint32_t>(half & 0x8000u) << 16;
  const uint32_t exponent = (half >> 10) & 0x1Fu;
  const uint32_t mantissa = half & 0x3FFu;
  uint32_t bits;
  if (exponent == 0) {
    const float magnitude = static_cast<float>(mantissa) * 0x1p-24f;  // subnormal or zero: exact
    __builtin_memcpy(&bits, &magnitude, 4);
    bits |= sign;
  } else if (exponent == 31) {
    bits = sign | 0x7F800000u | (mantissa << 13);
  } else {
    bits = sign | ((exponent + 112) << 23) | (mantissa << 13);
  }
  float value;
  __builtin_memcpy(&value, &bits, 4);
  return value;
}

// Round to nearest even; the two float additions do the rounding in hardware.
inline uint16_t float_to_half(float value) {
  uint32_t bits;
  __builtin_memcpy(&bits, &value, 4);
  const uint32_t sign = (bits >> 16) & 0x8000u;
  bits &= 0x7FFFFFFFu;
  if (bits > 0x7F800000u) return static_cast<uint16_t>(sign | 0x7E00u);
  if (bits >= 0x477FF000u) return static_cast<uint16_t>(sign | 0x7C00u);
  if (bits < 0x38800000u) {  // below the smallest normal half: the unit becomes 2^-24
    float magnitude;
    __builtin_memcpy(&magnitude, &bits, 4);
    const float shifted = magnitude + 0.5f;
    uint32_t rounded;
    __builtin_memcpy(&rounded, &shifted, 4);
    return static_cast<uint16_t>(sign | (rounded - 0x3F000000u));
  }
  bits += 0xC8000FFFu + ((bits >> 13) & 1u);
  return static_cast<uint16_t>(sign | (bits >> 13));
}

// --- float32 -----------------------------------------------------------------------------------

inline VecF load(const float* p) {
  VecF v;
  __builtin_memcpy(&v, p, sizeof(v));
  return v;
}
inline void store(float* p, VecF v) {
  __builtin_memcpy(p, &v, sizeof(v));
}

// --- bfloat16: the upper half of a float32
// ---------------------------------------------------------

inline VecU16 bfloat16_bits(VecF v) {
#if defined(__AVX512BF16__)
  VecU16 out;
  const __m256bh packed = _mm512_cvtneps_pbh((__m512)v);
  __builtin_memcpy(&out, &packed, sizeof(out));
  return out;
#else
  const VecU bits = (VecU)v;
  const VecU rounded = (bits + 0x7FFFu + ((bits >> 16) & 1u)) >> 16;
  const VecI is_nan = v != v;
  const VecU chosen = is_nan ? ((bits >> 16) | 0x40u) : rounded;
#if defined(__AVX512F__)
  VecU16 out;
  const __m256i packed = _mm512_cvtepi32_epi16((__m512i)chosen);
  __builtin_memcpy(&out, &packed, sizeof(out));
  return out;
#elif defined(__AVX2__)
  VecU16 out;
  const __m256i wide = (__m256i)chosen;  // below 2^16, so the unsigned saturation changes nothing
  const __m128i packed =
      _mm_packus_epi32(_mm256_castsi256_si128(wide), _mm256_extracti128_si256(wide, 1));
  __builtin_memcpy(&out, &packed, sizeof(out));
  return out;
#else
  return __builtin_convertvector(chosen, VecU16);
#endif
#endif
}

inline VecF load(const BFloat16* p) {
#if defined(__AVX512F__)
  const __m256i bits = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
  return (VecF)_mm512_slli_epi32(_mm512_cvtepu16_epi32(bits), 16);
#elif defined(__AVX2__)
  const __m128i bits = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
  return (VecF)_mm256_slli_epi32(_mm256_cvtepu16_epi32(bits), 16);
#elif defined(__SSE2__)
  const __m128i bits = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(p));
  return (VecF)_mm_unpacklo_epi16(_mm_setzero_si128(), bits);
#else
  VecU16 bits;
  __builtin_memcpy(&bits, p, sizeof(bits));
  return (VecF)(__builtin_convertvector(bits, VecU) << 16);
#endif
}
inline void store(BFloat16* p, VecF v) {
  const VecU16 bits = bfloat16_bits(v);
  __builtin_memcpy(p, &bits, sizeof(bits));
}

// --- float16 -----------------------------------------------------------------------------------

inline VecU16 float16_bits(VecF v) {
  VecU16 out;
#if defined(__AVX512F__)
  const __m256i packed = _mm512_cvtps_ph((__m512)v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  __builtin_memcpy(&out, &packed, sizeof(out));
#elif defined(__F16C__)
  const __m128i packed = _mm256_cvtps_ph((__m256)v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  __builtin_memcpy(&out, &packed, sizeof(out));
#else
  for (int i = 0; i < kWidth; ++i) out[i] = float_to_half(v[i]);
#endif
  return out;
}

inline VecF load(const Float16* p) {
#if defined(__AVX512F__)
  return (VecF)_mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
#elif defined(__F16C__)
  return (VecF)_mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
#else
  VecF v;
  for (int i = 0; i < kWidth; ++i) v[i] = half_to_float(p[i].bits);
  return v;
#endif
}
inline void store(Float16* p, VecF v) {
  const VecU16 bits = float16_bits(v);
  __builtin_memcpy(p, &bits, sizeof(bits));
}

// --- non-temporal stores: p must be aligned to the stored size
// --------------------------------------

inline void stream(float* p, VecF v) {
#if defined(__AVX512F__)
  _mm512_stream_ps(p, (__m512)v);
#elif defined(__AVX2__)
  _mm256_stream_ps(p, (__m256)v);
#elif defined(__SSE2__)
  _mm_stream_ps(p, (__m128)v);
#else
  store(p, v);
#endif
}

inline void stream_bits(void* p, VecU16 bits) {
#if defined(__AVX512F__)
  _mm256_stream_si256(static_cast<__m256i*>(p), (__m256i)bits);
#elif defined(__AVX2__)
  _mm_stream_si128(static_cast<__m128i*>(p), (__m128i)bits);
#else
  __builtin_memcpy(p, &bits, sizeof(bits));
#endif
}
inline void stream(BFloat16* p, VecF v) {
  stream_bits(p, bfloat16_bits(v));
}
inline void stream(Float16* p, VecF v) {
  stream_bits(p, float16_bits(v));
}

// Orders the non-temporal stores of this thread before what it does next.
inline void stream_fence() {
#if defined(__SSE2__)
  _mm_sfence();
#endif
}

// --- tails: n < kWidth elements; lanes beyond n read as zero
// ------------------------------------------

template <class T>
inline VecF load_tail(const T* p, int64_t n) {
  T buffer[kWidth] = {};
  for (int64_t i = 0; i < n; ++i) buffer[i] = p[i];
  return load(buffer);
}

template <class T>
inline void store_tail(T* p, VecF v, int64_t n) {
  T buffer[kWidth];
  store(buffer, v);
  for (int64_t i = 0; i < n; ++i) p[i] = buffer[i];
}

// Sum of the lanes in a fixed tree order: halves onto halves.
inline float sum_lanes(VecF v) {
#if defined(__SSE2__)
#if defined(__AVX512F__)
  const __m256 high8 = _mm256_castpd_ps(_mm512_extractf64x4_pd(_mm512_castps_pd((__m512)v), 1));
  const __m256 eight = _mm256_add_ps(_mm512_castps512_ps256((__m512)v), high8);
  const __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
#elif defined(__AVX2__)
  const __m128 four =
      _mm_add_ps(_mm256_castps256_ps128((__m256)v), _mm256_extractf128_ps((__m256)v, 1));
#else
  const __m128 four = (__m128)v;
#endif
  const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_add_ss(two, _mm_shuffle_ps(two, two, 1)));
#else
  float lanes[kWidth];
  __builtin_memcpy(lanes, &v, sizeof(v));
  for (int half = kWidth / 2; half > 0; half /= 2) {
    for (int i = 0; i < half; ++i) lanes[i] += lanes[i + half];
  }
  return lanes[0];
#endif
}

}  // namespace llmcore::cpu::LLMCORE_ISA
