// float32 vectors of the instruction set being compiled, with loads and stores that convert from
// and to the storage types. Everything lives in that set's namespace and nothing here calls a
// std template: the linker must never merge one set's inline code into another set's.
#pragma once

#include <cstdint>

#if defined(__SSE2__)
#include <immintrin.h>
#endif

#include "cpu/float16.h"
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

// An array of them as the array of their bits.
template <class T>
inline const uint16_t* bits_of(const T* p) {
  return reinterpret_cast<const uint16_t*>(p);
}
template <class T>
inline uint16_t* bits_of(T* p) {
  return reinterpret_cast<uint16_t*>(p);
}

inline VecF broadcast(float value) {
  return VecF{} + value;
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

// --- 16-bit lanes: n of them in the low lanes, the others zero ---------------------------------

#if defined(__SSE2__) && !defined(__AVX512F__)
// Up to four and up to eight 16-bit numbers without touching memory beyond them.
inline uint64_t load_up_to_4(const uint16_t* p, int64_t n) {
  uint64_t bits = 0;
  if (n >= 4) {
    __builtin_memcpy(&bits, p, 8);
    return bits;
  }
  if (n & 1) bits = p[n - 1];
  if (n & 2) {
    uint32_t low;
    __builtin_memcpy(&low, p, 4);
    bits = bits << 32 | low;
  }
  return bits;
}
inline void store_up_to_4(uint16_t* p, uint64_t bits, int64_t n) {
  if (n >= 4) {
    __builtin_memcpy(p, &bits, 8);
    return;
  }
  if (n & 2) {
    const auto low = static_cast<uint32_t>(bits);
    __builtin_memcpy(p, &low, 4);
    bits >>= 32;
  }
  if (n & 1) p[n - 1] = static_cast<uint16_t>(bits);
}
inline __m128i load_up_to_8(const uint16_t* p, int64_t n) {
  const uint64_t high = n > 4 ? load_up_to_4(p + 4, n - 4) : 0;
  return _mm_set_epi64x(static_cast<int64_t>(high), static_cast<int64_t>(load_up_to_4(p, n)));
}
inline void store_up_to_8(uint16_t* p, __m128i bits, int64_t n) {
  store_up_to_4(p, static_cast<uint64_t>(_mm_cvtsi128_si64(bits)), n);
  if (n > 4) {
    const __m128i high = _mm_unpackhi_epi64(bits, bits);
    store_up_to_4(p + 4, static_cast<uint64_t>(_mm_cvtsi128_si64(high)), n - 4);
  }
}
#endif

inline VecU16 load_bits(const uint16_t* p) {
  VecU16 bits;
  __builtin_memcpy(&bits, p, sizeof(bits));
  return bits;
}
inline void store_bits(uint16_t* p, VecU16 bits) {
  __builtin_memcpy(p, &bits, sizeof(bits));
}

// n <= kWidth
inline VecU16 load_bits_tail(const uint16_t* p, int64_t n) {
#if defined(__AVX512F__)
  return (VecU16)_mm256_maskz_loadu_epi16(static_cast<__mmask16>((1u << n) - 1), p);
#elif defined(__AVX2__)
  return (VecU16)load_up_to_8(p, n);
#elif defined(__SSE2__)
  const uint64_t bits = load_up_to_4(p, n);
  VecU16 out;
  __builtin_memcpy(&out, &bits, sizeof(out));
  return out;
#else
  VecU16 out = {};
  for (int64_t i = 0; i < n; ++i) out[i] = p[i];
  return out;
#endif
}
inline void store_bits_tail(uint16_t* p, VecU16 bits, int64_t n) {
#if defined(__AVX512F__)
  _mm256_mask_storeu_epi16(p, static_cast<__mmask16>((1u << n) - 1), (__m256i)bits);
#elif defined(__AVX2__)
  store_up_to_8(p, (__m128i)bits, n);
#elif defined(__SSE2__)
  uint64_t packed;
  __builtin_memcpy(&packed, &bits, sizeof(packed));
  store_up_to_4(p, packed, n);
#else
  for (int64_t i = 0; i < n; ++i) p[i] = bits[i];
#endif
}

// --- bfloat16: the upper half of a float32 -----------------------------------------------------

// float32 with its upper half rounded to nearest even; a NaN becomes all ones. The lower half is
// garbage.
inline VecU round_to_bfloat16(VecF v) {
  const VecU bits = (VecU)v;
  const VecU rounded = bits + 0x7FFFu + ((bits >> 16) & 1u);
  const VecI is_nan = v != v;
#if defined(__AVX512F__)
  return is_nan ? VecU{} + 0xFFFFFFFFu : rounded;
#else
  return rounded | (VecU)is_nan;
#endif
}

inline VecU16 bfloat16_bits(VecF v) {
  VecU16 out;
#if defined(__AVX512BF16__)
  const __m256bh packed = _mm512_cvtneps_pbh((__m512)v);
  __builtin_memcpy(&out, &packed, sizeof(out));
  return out;
#elif defined(__AVX512F__)
  const __m256i packed = _mm512_cvtepi32_epi16((__m512i)(round_to_bfloat16(v) >> 16));
  __builtin_memcpy(&out, &packed, sizeof(out));
  return out;
#elif defined(__AVX2__)
  const __m256i wide = (__m256i)(round_to_bfloat16(v) >> 16);  // below 2^16: nothing saturates
  out = (VecU16)_mm_packus_epi32(_mm256_castsi256_si128(wide), _mm256_extracti128_si256(wide, 1));
  return out;
#elif defined(__SSE2__)
  const __m128i wide = _mm_srai_epi32((__m128i)round_to_bfloat16(v), 16);  // a signed 16-bit number
  const uint64_t packed = static_cast<uint64_t>(_mm_cvtsi128_si64(_mm_packs_epi32(wide, wide)));
  __builtin_memcpy(&out, &packed, sizeof(out));
  return out;
#else
  return __builtin_convertvector(round_to_bfloat16(v) >> 16, VecU16);
#endif
}

inline VecF from_bfloat16(VecU16 bits) {
#if defined(__AVX512F__)
  return (VecF)_mm512_slli_epi32(_mm512_cvtepu16_epi32((__m256i)bits), 16);
#elif defined(__AVX2__)
  return (VecF)_mm256_slli_epi32(_mm256_cvtepu16_epi32((__m128i)bits), 16);
#elif defined(__SSE2__)
  uint64_t four;
  __builtin_memcpy(&four, &bits, sizeof(four));
  return (VecF)_mm_unpacklo_epi16(_mm_setzero_si128(),
                                  _mm_cvtsi64_si128(static_cast<int64_t>(four)));
#else
  return (VecF)(__builtin_convertvector(bits, VecU) << 16);
#endif
}

inline VecF load(const BFloat16* p) {
  return from_bfloat16(load_bits(bits_of(p)));
}
inline void store(BFloat16* p, VecF v) {
  store_bits(bits_of(p), bfloat16_bits(v));
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

inline VecF from_float16(VecU16 bits) {
#if defined(__AVX512F__)
  return (VecF)_mm512_cvtph_ps((__m256i)bits);
#elif defined(__F16C__)
  return (VecF)_mm256_cvtph_ps((__m128i)bits);
#else
  VecF v;
  for (int i = 0; i < kWidth; ++i) v[i] = half_to_float(bits[i]);
  return v;
#endif
}

inline VecF load(const Float16* p) {
  return from_float16(load_bits(bits_of(p)));
}
inline void store(Float16* p, VecF v) {
  store_bits(bits_of(p), float16_bits(v));
}

// --- int8: whole numbers from -128 to 127 ------------------------------------------------------

inline VecF load(const int8_t* p) {
#if defined(__AVX512F__)
  const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
  return (VecF)_mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(bytes));
#elif defined(__AVX2__)
  const __m128i bytes = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(p));
  return (VecF)_mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(bytes));
#elif defined(__SSE2__)
  int32_t four;
  __builtin_memcpy(&four, p, sizeof(four));
  const __m128i bytes = _mm_cvtsi32_si128(four), words = _mm_unpacklo_epi8(bytes, bytes);
  return (VecF)_mm_cvtepi32_ps(_mm_srai_epi32(_mm_unpacklo_epi16(words, words), 24));
#else
  VecF v;
  for (int i = 0; i < kWidth; ++i) v[i] = static_cast<float>(p[i]);
  return v;
#endif
}

// --- non-temporal stores: p must be aligned to the stored size ---------------------------------

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
#elif defined(__SSE2__)
  int64_t packed;
  __builtin_memcpy(&packed, &bits, sizeof(packed));
  _mm_stream_si64(static_cast<long long*>(p), packed);
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

// --- tails: n <= kWidth elements; lanes beyond n read as zero ----------------------------------

inline VecF load_tail(const float* p, int64_t n) {
#if defined(__AVX512F__)
  return (VecF)_mm512_maskz_loadu_ps(static_cast<__mmask16>((1u << n) - 1), p);
#elif defined(__AVX2__)
  const __m256i lanes = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
  const __m256i mask = _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(n)), lanes);
  return (VecF)_mm256_maskload_ps(p, mask);
#else
  VecF v = {};
  for (int64_t i = 0; i < n; ++i) v[i] = p[i];
  return v;
#endif
}
inline VecF load_tail(const BFloat16* p, int64_t n) {
  return from_bfloat16(load_bits_tail(bits_of(p), n));
}
inline VecF load_tail(const Float16* p, int64_t n) {
  return from_float16(load_bits_tail(bits_of(p), n));
}
template <class T>
inline VecF load_tail(const T* p, int64_t n) {
  T buffer[kWidth] = {};
  for (int64_t i = 0; i < n; ++i) buffer[i] = p[i];
  return load(buffer);
}

inline void store_tail(float* p, VecF v, int64_t n) {
#if defined(__AVX512F__)
  _mm512_mask_storeu_ps(p, static_cast<__mmask16>((1u << n) - 1), (__m512)v);
#elif defined(__AVX2__)
  const __m256i lanes = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
  const __m256i mask = _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(n)), lanes);
  _mm256_maskstore_ps(p, mask, (__m256)v);
#else
  for (int64_t i = 0; i < n; ++i) p[i] = v[i];
#endif
}
inline void store_tail(BFloat16* p, VecF v, int64_t n) {
  store_bits_tail(bits_of(p), bfloat16_bits(v), n);
}
inline void store_tail(Float16* p, VecF v, int64_t n) {
  store_bits_tail(bits_of(p), float16_bits(v), n);
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
