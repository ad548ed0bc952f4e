// Blocks of keys and values on their way to the tiles: packed once, or for few rows strips of keys
// and no values, with what is needed next fetched meanwhile.
//
// Packed numbers are 4-byte lanes: a float32, or two neighbouring bfloat16 for the dot instruction.
//   keys    [depth][kStride]    lane (i, j): channel i, or channels 2i and 2i + 1, of key j
//   values  [steps][width]      lane (j, c): channel c of key j, or of keys 2j and 2j + 1
#pragma once

#include <cstdint>

#include "cpu/attention_mask.h"
#include "cpu/attention_transpose.h"
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

// kWidth lanes from the start of a row that has them all.
template <bool kPairs, class T>
inline VecF load_whole_lanes(const T* row) {
#if defined(__AVX512BF16__)
  if constexpr (kPairs && sizeof(T) == 2) return load(reinterpret_cast<const float*>(row));
  if constexpr (kPairs && sizeof(T) == 1) {
    return (VecF)_mm512_cvtne2ps_pbh((__m512)load(row + kWidth), (__m512)load(row));
  }
#endif
  return load(row);
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

// A row of 64 weights.
template <bool kPairs>
constexpr int64_t weight_lanes() {
  return lanes_of<kPairs>(kBlockKeys);
}

constexpr int64_t round_up(int64_t n, int64_t multiple) {
  return (n + multiple - 1) / multiple * multiple;
}

// Where the tokens of one block lie: the first key/value head of each.
struct BlockRows {
  const char* k[kBlockKeys];  // beyond `count` the first one, whose scores are then nobody's
  const char* v[kBlockKeys];
  int64_t count = 0;

  void pad_keys() {
    for (int64_t j = count; j < kBlockKeys; ++j) k[j] = k[0];
  }
};

// The part of some rows that is worked on next, brought into the second-level cache a few lines at
// a time: hardware does not follow that many short streams.
class RowsAhead {
 public:
  RowsAhead(const char* const* rows, int64_t count, int64_t offset, int64_t bytes)
      : row_(rows), last_(rows + count), offset_(offset), bytes_(bytes) {}

  __attribute__((always_inline)) void fetch(int64_t lines) {
    for (; lines > 0; --lines) {
      if (at_ >= end_) {
        if (row_ == last_) return;
        at_ = *row_++ + offset_;
        end_ = at_ + bytes_;
      }
      __builtin_prefetch(at_, 0, 2);
      at_ += 64;
    }
  }

 private:
  const char *const *row_, *const *last_;
  int64_t offset_, bytes_;
  const char *at_ = nullptr, *end_ = nullptr;
};

// An int8 cache as float32 is multiplied out here; as bfloat16, where that would round, its scales
// meet scores and weights instead.
template <bool kPairs, class T>
constexpr bool multiplies_scales() {
  return sizeof(T) == 1 && !kPairs;
}

// Lines of memory that so many vectors of lanes come from, rounded up.
template <bool kPairs, class T>
constexpr int64_t lines_of(int64_t vectors) {
  return (vectors * kWidth * (kPairs ? 2 : 1) * static_cast<int64_t>(sizeof(T)) + 63) / 64;
}

// kWidth lanes of kWidth tokens, transposed, to [lane][kStride].
template <bool kPairs, bool kWhole, int64_t kStride, class T>
inline void pack_key_tile(const char* const* rows, int64_t offset, int64_t lane, int64_t channels,
                          const float* scale, float* to) {
  VecF tile[kWidth];
#pragma GCC unroll 16
  for (int j = 0; j < kWidth; ++j) {
    if constexpr (kWhole) {
      const int64_t at = offset + lane * (kPairs ? 2 : 1) * static_cast<int64_t>(sizeof(T));
      tile[j] = load_whole_lanes<kPairs>(reinterpret_cast<const T*>(rows[j] + at));
    } else {
      tile[j] = load_lanes<kPairs>(reinterpret_cast<const T*>(rows[j] + offset), lane, channels);
    }
  }
  transpose_lanes(tile);
  if constexpr (multiplies_scales<kPairs, T>()) {
    const VecF factors = load(scale);
#pragma GCC unroll 16
    for (int j = 0; j < kWidth; ++j) tile[j] = tile[j] * factors;
  }
#pragma GCC unroll 16
  for (int j = 0; j < kWidth; ++j) store(to + j * kStride, tile[j]);
}

// The tokens of `rows` [key, key + kWidth); `offset` is that of the head in bytes. Rows of packed
// lanes are written up to the next kWidth.
template <bool kPairs, int64_t kStride, class T>
void pack_key_vector(const BlockRows& rows, int64_t key, int64_t offset, int64_t channels,
                     const float* scales, RowsAhead& ahead, float* packed) {
  const int64_t depth = lanes_of<kPairs>(channels), whole = channels / (kPairs ? 2 : 1);
  const char* const* from = rows.k + key;
  int64_t i = 0;
  for (; i + kWidth <= whole; i += kWidth) {
    pack_key_tile<kPairs, true, kStride, T>(from, offset, i, channels, scales + key,
                                            packed + i * kStride);
    ahead.fetch(lines_of<kPairs, T>(kWidth));
  }
  for (; i < depth; i += kWidth) {
    pack_key_tile<kPairs, false, kStride, T>(from, offset, i, channels, scales + key,
                                             packed + i * kStride);
    ahead.fetch(lines_of<kPairs, T>(kWidth));
  }
}

// Two rows of values as lanes of pairs. Exact: both came from bfloat16 or from int8.
inline VecF interleave(VecF first, VecF second) {
  return (VecF)(((VecU)first >> 16) | ((VecU)second & 0xFFFF0000u));
}

// 32 channels at a time of two rows of bfloat16 as lanes of pairs; zeros for a second that is
// missing.
template <class T, int kVectors>
inline void interleave_rows(const T* first, const T* second, bool has_second,
                            VecF (&to)[kVectors]) {
#if defined(__AVX512BF16__)
  alignas(64) static constexpr uint16_t kLow[32] = {0,  32, 1,  33, 2,  34, 3,  35, 4,  36, 5,
                                                    37, 6,  38, 7,  39, 8,  40, 9,  41, 10, 42,
                                                    11, 43, 12, 44, 13, 45, 14, 46, 15, 47};
  const __m512i low = _mm512_load_si512(kLow), high = _mm512_add_epi16(low, _mm512_set1_epi16(16));
  const __mmask32 there = has_second ? ~__mmask32{0} : 0;
#pragma GCC unroll 2
  for (int v = 0; v < kVectors; v += 2) {
    const __m512i a = _mm512_loadu_si512(first + v * kWidth);
    const __m512i b = _mm512_maskz_loadu_epi16(there, second + v * kWidth);
    to[v] = (VecF)_mm512_permutex2var_epi16(a, low, b);
    to[v + 1] = (VecF)_mm512_permutex2var_epi16(a, high, b);
  }
#endif
}

// The keys of one head, `offset` bytes into each row, from `key` to `end` or to the block's last.
template <bool kPairs, int64_t kStride, class T>
void pack_keys(const BlockRows& rows, int64_t key, int64_t end, int64_t offset, int64_t channels,
               const float* scales, RowsAhead& ahead, float* packed) {
  for (int64_t at = key; at < end && at < rows.count; at += kWidth) {
    pack_key_vector<kPairs, kStride, T>(rows, at, offset, channels, scales, ahead,
                                        packed + at - key);
  }
}

// The values of one head as packed lanes, read where they lie.
template <bool kPairs, class T>
struct PlacedValues {
  const BlockRows& rows;
  int64_t offset;  // of the head, in bytes
  int64_t channels;
  const float* scales;

  static constexpr bool kPacked = false;

  int64_t whole_channels() const { return channels / kWidth * kWidth; }

  // To be fetched with so many vectors of a step: one more where rows do not fill their lines.
  int64_t lines(int64_t vectors) const {
    const bool is_ragged = channels * static_cast<int64_t>(sizeof(T)) % 64 != 0;
    return lines_of<kPairs, T>(vectors) + (is_ragged ? 1 : 0);
  }

  const T* row(int64_t key) const { return reinterpret_cast<const T*>(rows.v[key] + offset); }

  // Channels from c on of the tokens of one step: one, or with pairs two, of which the second may
  // be missing.
  template <bool kWhole, int kVectors>
  void load_step(int64_t step, int64_t c, VecF (&to)[kVectors]) const {
    const auto some = [&](const T* from) {
      return kWhole ? load(from) : load_tail(from, channels - c);
    };
    if constexpr (kPairs) {
      const bool has_second = 2 * step + 1 < rows.count;
      const T* first = row(2 * step) + c;
      const T* second = has_second ? row(2 * step + 1) + c : first;
      if constexpr (kWhole && sizeof(T) == 2 && kVectors % 2 == 0) {
        interleave_rows(first, second, has_second, to);
      } else {
#pragma GCC unroll 4
        for (int v = 0; v < kVectors; ++v) {
          const VecF later = has_second ? some(second + v * kWidth) : VecF{};
          to[v] = interleave(some(first + v * kWidth), later);
        }
      }
    } else {
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) {
        to[v] = some(row(step) + c + v * kWidth);
        if constexpr (multiplies_scales<kPairs, T>()) to[v] = to[v] * splat(scales + step);
      }
    }
  }
};

// The same once packed: [steps][width], no channel missing.
struct PackedValues {
  const float* values;
  int64_t width;

  static constexpr bool kPacked = true;

  int64_t whole_channels() const { return width; }

  int64_t lines(int64_t) const { return 0; }

  template <bool, int kVectors>
  void load_step(int64_t step, int64_t c, VecF (&to)[kVectors]) const {
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) to[v] = load(values + step * width + c + v * kWidth);
  }
};

template <bool kPairs, class T>
void pack_values(const PlacedValues<kPairs, T>& from, RowsAhead& ahead, float* packed) {
  const int64_t width = round_up(from.channels, kWidth);
  const int64_t steps = lanes_of<kPairs>(from.rows.count);
  for (int64_t step = 0; step < steps; ++step) {
    VecF v[1];
    int64_t c = 0;
    for (; c < from.whole_channels(); c += kWidth) {
      from.template load_step<true>(step, c, v);
      store(packed + step * width + c, v[0]);
    }
    if (c < from.channels) {
      from.template load_step<false>(step, c, v);
      store(packed + step * width + c, v[0]);
    }
    ahead.fetch(from.lines(width / kWidth));
  }
}

}  // namespace llmcore::cpu::LLMCORE_ISA
