// x W^T on one packed panel (64 output channels, see ops/linear.h): the inner loops of `linear`,
// for any kernel of csrc/cpu that multiplies by packed weights.
//
//   panel_product<Format>(x, num_rows, weight, steps, ahead, c)
//     c[r][o] = (fresh ? 0 : c[r][o]) + sum over blocks, ascending, of
//                                       scales[block's group][o] * sum_(i in block) x_ri W_oi
//
// for 1 to kMaxRows rows; c is float32, rows of kPanelWidth. Calls on consecutive ranges of steps
// (of whole blocks) give bit for bit what one call on all of them gives: c spills exactly.
// x comes repacked: Format::Input [channel (or pair)][num_rows], zero where channels are padding.
// The caller picks the format, e.g. Int4Dot, and with it whether the bfloat16 dot serves.
#pragma once

#include "cpu/vec.h"
#include "cpu/vec_math.h"
#include "ops/linear.h"

namespace llmcore::cpu::LLMCORE_ISA {

typedef int16_t VecI16 __attribute__((vector_size(kWidth * 2)));

// Vectors of output channels held in registers beside `rows` rows: the sums, a weight vector each
// and a broadcast x fit the 32 (AVX-512) or 16 registers.
#if defined(__AVX512F__)
constexpr int kMaxRows = 6;
constexpr int tile_vectors(int rows) {
  return rows > 0 ? 4 : 0;
}
#else
constexpr int kMaxRows = 6;
constexpr int tile_vectors(int rows) {
  return rows == 1 ? 8 : (rows == 2 ? 4 : 2);
}
#endif

// --- formats: how a step of the packed weight becomes operands -----------------------------------
// kInputs multiplications per step; operand(p, j) is that of input j for kWidth channels from p on.

template <class T>
inline T load_bits(const char* p) {
  T v;
  __builtin_memcpy(&v, p, sizeof(v));
  return v;
}

struct BFloat16Fma;
struct BFloat16Dot;

struct Fma {
  typedef BFloat16Fma Unpacked;  // takes the same x
  typedef float Input;
  static constexpr int kInputChannels = 1;
  typedef VecF Operand;
  static VecF spread(float x) { return broadcast(x); }
  static VecF multiply_add(VecF x, VecF w, VecF sum) { return fused_multiply_add(x, w, sum); }
};

struct Float32Fma : Fma {
  static constexpr bool kIsInteger = false;
  static constexpr int kInputs = 1;
  static constexpr int kChannelBytes = 4;
  static VecF operand(const char* p, int) { return load_bits<VecF>(p); }
};

struct BFloat16Fma : Fma {
  static constexpr bool kIsInteger = false;
  static constexpr int kInputs = 2;
  static constexpr int kChannelBytes = 4;
  static VecF operand(const char* p, int j) {
    const VecU pair = load_bits<VecU>(p);
    return j == 0 ? (VecF)(pair << 16) : (VecF)(pair & 0xFFFF0000u);
  }
};

struct Int8Fma : Fma {
  static constexpr bool kIsInteger = true;
  static constexpr int kInputs = 2;
  static constexpr int kChannelBytes = 2;
  static VecF operand(const char* p, int j) {
    const VecI pair = __builtin_convertvector(load_bits<VecI16>(p), VecI);
    const VecI q = j == 0 ? (VecI)((VecU)pair << 24) >> 24 : pair >> 8;
    return __builtin_convertvector(q, VecF);
  }
};

struct Int4Fma : Fma {
  static constexpr bool kIsInteger = true;
  static constexpr int kInputs = 8;
  static constexpr int kChannelBytes = 4;
  static VecF operand(const char* p, int j) {
    const VecU eight = load_bits<VecU>(p);
    const int shift = (j % 2) * 16 + (j / 2) * 4;
#if defined(__AVX512F__)
    const __m512 values = _mm512_setr_ps(0, 1, 2, 3, 4, 5, 6, 7, -8, -7, -6, -5, -4, -3, -2, -1);
    return (VecF)_mm512_permutexvar_ps((__m512i)(eight >> shift), values);  // reads 4 low bits
#else
    return __builtin_convertvector((VecI)(eight << (28 - shift)) >> 28, VecF);
#endif
  }
};

#if defined(__AVX512BF16__)

// Pairs of bfloat16: small integers are exact in it.
struct Dot {
  typedef BFloat16Dot Unpacked;
  typedef uint32_t Input;
  static constexpr int kInputChannels = 2;
  typedef __m512bh Operand;
  static __m512bh spread(uint32_t pair) {
    return (__m512bh)_mm512_set1_epi32(static_cast<int32_t>(pair));
  }
  static VecF multiply_add(__m512bh x, __m512bh w, VecF sum) {
    return (VecF)_mm512_dpbf16_ps((__m512)sum, x, w);
  }
};

struct BFloat16Dot : Dot {
  static constexpr bool kIsInteger = false;
  static constexpr int kInputs = 1;
  static constexpr int kChannelBytes = 4;
  static __m512bh operand(const char* p, int) { return (__m512bh)_mm512_loadu_si512(p); }
};

struct Int8Dot : Dot {
  static constexpr bool kIsInteger = true;
  static constexpr int kInputs = 1;
  static constexpr int kChannelBytes = 2;
  static __m512bh operand(const char* p, int) {
    const __m128i* from = reinterpret_cast<const __m128i*>(p);
    const __m512 low = _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128(from)));
    const __m512 high = _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128(from + 1)));
    return _mm512_cvtne2ps_pbh(high, low);
  }
};

struct Int4Dot : Dot {
  static constexpr bool kIsInteger = true;
  static constexpr int kInputs = 4;
  static constexpr int kChannelBytes = 4;
  static __m512bh operand(const char* p, int j) {
    // bfloat16 of 0 .. 7, -8 .. -1, twice: the lookup reads 5 bits of the shifted nibble.
    const __m512i values = _mm512_broadcast_i64x4(_mm256_setr_epi16(
        0, 0x3F80, 0x4000, 0x4040, 0x4080, 0x40A0, 0x40C0, 0x40E0, static_cast<short>(0xC100),
        static_cast<short>(0xC0E0), static_cast<short>(0xC0C0), static_cast<short>(0xC0A0),
        static_cast<short>(0xC080), static_cast<short>(0xC040), static_cast<short>(0xC000),
        static_cast<short>(0xBF80)));
    const __m512i nibbles = _mm512_srli_epi16(_mm512_loadu_si512(p), 4 * static_cast<unsigned>(j));
    return (__m512bh)_mm512_permutexvar_epi16(nibbles, values);
  }
};

#endif

// `num_steps` steps of an integer format as steps of bfloat16, which holds q exactly.
template <class Format>
void unpack(const char* weight, int64_t num_steps, char* to) {
  constexpr int kPairs = Format::kInputs * Format::kInputChannels / 2;
  constexpr int64_t kVectorBytes = kWidth * 4;
  for (int64_t step = 0; step < num_steps; ++step) {
    for (int64_t o = 0; o < kPanelWidth; o += kWidth) {
      const char* from = weight + o * Format::kChannelBytes;
#pragma GCC unroll 4
      for (int pair = 0; pair < kPairs; ++pair) {
        char* at = to + pair * kPanelWidth * 4 + o * 4;
        if constexpr (Format::kInputChannels == 2) {
          const auto both = Format::operand(from, pair);
          __builtin_memcpy(at, &both, kVectorBytes);
        } else {
          const VecU even = (VecU)Format::operand(from, 2 * pair);
          const VecU both =
              (even >> 16) | ((VecU)Format::operand(from, 2 * pair + 1) & 0xFFFF0000u);
          __builtin_memcpy(at, &both, kVectorBytes);
        }
      }
    }
    weight += Format::kChannelBytes * kPanelWidth;
    to += kPairs * kPanelWidth * 4;
  }
}

// --- the product ---------------------------------------------------------------------------------

// Memory to fetch meanwhile: `width` bytes (at most 256) every `stride` bytes per step of the
// weight. A tile narrower than a panel passes over the steps several times; pass p fetches from
// `from + p * pass` on.
struct Prefetch {
  const char* from;
  int64_t stride;
  int64_t width;
  int64_t pass;
  bool near;  // into the first-level cache, else into the second
};

// always_inline: GCC 12 drops a call whose only effect is a prefetch.
__attribute__((always_inline)) inline void fetch(const Prefetch& ahead, int64_t step) {
  const char* p = ahead.from + step * ahead.stride;
  if (ahead.near) {
    for (int64_t at = 0; at < ahead.width; at += 64) __builtin_prefetch(p + at, 0, 3);
    return;
  }
  __builtin_prefetch(p, 0, 2);
  if (ahead.width > 64) __builtin_prefetch(p + 64, 0, 2);
  if (ahead.width > 128) {
    __builtin_prefetch(p + 128, 0, 2);
    __builtin_prefetch(p + 192, 0, 2);
  }
}

// Adds `num_steps` steps to `sums`: kRows rows by kVectors vectors from `weight` on.
template <class Format, int kRows, int kVectors>
__attribute__((always_inline)) inline void accumulate(const typename Format::Input* x,
                                                      const char* weight, int64_t num_steps,
                                                      const Prefetch& ahead,
                                                      VecF (&sums)[kRows][kVectors]) {
  constexpr int64_t kStepBytes = Format::kChannelBytes * kPanelWidth;
  for (int64_t step = 0; step < num_steps; ++step) {
    fetch(ahead, step);
#pragma GCC unroll 8
    for (int j = 0; j < Format::kInputs; ++j) {
      typename Format::Operand operands[kVectors];
#pragma GCC unroll 8
      for (int v = 0; v < kVectors; ++v) {
        operands[v] = Format::operand(weight + v * kWidth * Format::kChannelBytes, j);
      }
#pragma GCC unroll 16
      for (int r = 0; r < kRows; ++r) {
        const typename Format::Operand spread = Format::spread(x[j * kRows + r]);
#pragma GCC unroll 8
        for (int v = 0; v < kVectors; ++v) {
          sums[r][v] = Format::multiply_add(spread, operands[v], sums[r][v]);
        }
      }
    }
    x += Format::kInputs * kRows;
    weight += kStepBytes;
  }
}

// The steps of a product, summed in blocks.
struct Steps {
  int64_t count;
  int64_t per_block;         // at least 1
  const uint16_t* scales;    // bfloat16 bits, kPanelWidth per group, of the first group on; or null
  int64_t blocks_per_scale;  // blocks in a group
  bool fresh;                // c holds nothing yet
};

template <class Format, int kRows, bool kScaled>
void panel_tile(const typename Format::Input* x, const char* weight, const Steps& steps,
                const Prefetch& ahead, float* c) {
  constexpr int kVectors = tile_vectors(kRows);
  for (int64_t o = 0; o < kPanelWidth; o += kVectors * kWidth) {
    Prefetch meanwhile = ahead;
    meanwhile.from += o / (kVectors * kWidth) * ahead.pass;
    const uint16_t* scales = steps.scales;
    int64_t step = 0, block = 0;  // block: within its group
    do {
      const int64_t left = steps.count - step;
      const int64_t count = steps.per_block < left ? steps.per_block : left;
      VecF sums[kRows][kVectors] = {};
      accumulate<Format, kRows, kVectors>(x + step * Format::kInputs * kRows,
                                          weight + (step * kPanelWidth + o) * Format::kChannelBytes,
                                          count, meanwhile, sums);
      const bool fresh = steps.fresh && step == 0;
#pragma GCC unroll 8
      for (int v = 0; v < kVectors; ++v) {
        float* to = c + o + v * kWidth;
        VecF scale = {};
        if constexpr (kScaled) {
          scale = load(reinterpret_cast<const BFloat16*>(scales + o + v * kWidth));
        }
#pragma GCC unroll 8
        for (int r = 0; r < kRows; ++r) {
          const VecF before = fresh ? VecF{} : load(to + r * kPanelWidth);
          const VecF after =
              kScaled ? fused_multiply_add(sums[r][v], scale, before) : before + sums[r][v];
          store(to + r * kPanelWidth, after);
        }
      }
      meanwhile.from += count * meanwhile.stride;
      step += count;
      if (kScaled && ++block == steps.blocks_per_scale) {
        scales += kPanelWidth;
        block = 0;
      }
    } while (step < steps.count);
  }
}

template <class Format, bool kScaled>
void panel_rows(const typename Format::Input* x, int num_rows, const char* weight,
                const Steps& steps, const Prefetch& ahead, float* c) {
  switch (num_rows) {
    case 1:
      return panel_tile<Format, 1, kScaled>(x, weight, steps, ahead, c);
    case 2:
      return panel_tile<Format, 2, kScaled>(x, weight, steps, ahead, c);
    case 3:
      return panel_tile<Format, 3, kScaled>(x, weight, steps, ahead, c);
    case 4:
      return panel_tile<Format, 4, kScaled>(x, weight, steps, ahead, c);
    case 5:
      return panel_tile<Format, 5, kScaled>(x, weight, steps, ahead, c);
    default:
      return panel_tile<Format, 6, kScaled>(x, weight, steps, ahead, c);
  }
}

// c (num_rows, kPanelWidth) += x W^T over `steps`; see the top of the file.
template <class Format>
inline void panel_product(const typename Format::Input* x, int num_rows, const char* weight,
                          const Steps& steps, const Prefetch& ahead, float* c) {
  if (steps.scales != nullptr) {
    panel_rows<Format, true>(x, num_rows, weight, steps, ahead, c);
  } else {
    panel_rows<Format, false>(x, num_rows, weight, steps, ahead, c);
  }
}

}  // namespace llmcore::cpu::LLMCORE_ISA
