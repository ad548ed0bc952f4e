// Products of small tiles for the backward of attention: 64 queries by 64 keys, packed so that
// every operand is read from contiguous, padded memory and no product has a tail.
//
// A product sums over steps; a step is one 32-bit word of each operand: one float32, or with the
// dot instruction of AVX512_BF16 a pair of bfloat16. One operand is read word by word and spread
// over all lanes ("left"), the other by panels of two vectors ("right"):
//   left  rows         [word panel][row 0..63][kPanel words]
//   right rows         [panel of columns][row / kDepth][kPanel words]     sums over rows
//   right transposed   [panel of rows][column / kDepth][kPanel words]     sums over columns
// In float32 a left and a right tile of rows are the same bytes.
#pragma once

#include <cstdint>

#include "cpu/attention_tiles.h"
#include "cpu/vec.h"
#include "cpu/vec_math.h"

namespace llmcore::cpu::LLMCORE_ISA::gradient {

constexpr int kTile = 64;
constexpr int kPanel = 2 * kWidth;
// Rows of a micro-kernel: kMicroRows * 2 sums stay in registers.
#if defined(__AVX512F__)
constexpr int kMicroRows = 12;
#else
constexpr int kMicroRows = 6;
#endif
constexpr int kRowStep = kMicroRows / 3;
static_assert(kTile % kRowStep == 0 && kRowStep % 2 == 0);

constexpr int64_t divide_up(int64_t a, int64_t b) {
  return (a + b - 1) / b;
}
constexpr int64_t at_most(int64_t a, int64_t b) {
  return a < b ? a : b;
}
constexpr int64_t at_least(int64_t a, int64_t b) {
  return a > b ? a : b;
}

inline VecF splat(float value) {
#if defined(__AVX512F__)
  return (VecF)_mm512_set1_ps(value);
#elif defined(__AVX2__)
  return (VecF)_mm256_set1_ps(value);
#elif defined(__SSE2__)
  return (VecF)_mm_set1_ps(value);
#else
  VecF v;
  for (int i = 0; i < kWidth; ++i) v[i] = value;
  return v;
#endif
}

template <class T>
inline VecF load_up_to(const T* p, int64_t n) {
  return n >= kWidth ? load(p) : load_tail(p, n);
}
template <class T>
inline void store_up_to(T* p, VecF v, int64_t n) {
  if (n >= kWidth) {
    store(p, v);
  } else {
    store_tail(p, v, n);
  }
}

// --- packing -------------------------------------------------------------------------------------

// Rows of a token-major tensor: `count` rows of `width` elements, `stride` elements apart.
template <class T>
struct Rows {
  const T* first;
  int64_t stride;
  int64_t count;
  int64_t width;
};

// Arithmetic in float32 on any storage type.
template <class T>
struct FloatMath {
  using Element = T;
  static constexpr int kDepth = 1;

  static VecF multiply_add(VecF left, VecF right, VecF sum) {
    return fused_multiply_add(left, right, sum);
  }

  static VecF words(const T* row, int64_t width, int64_t word) {
    return width > word ? load_up_to(row + word, width - word) : VecF{};
  }

  static void pack_left(float* to, const Rows<T>& from) {
    const int64_t padded = divide_up(from.count, kRowStep) * kRowStep;
    for (int64_t r = 0; r < padded; ++r) {
      const T* row = from.first + r * from.stride;
      for (int64_t w = 0; w < from.width; w += kWidth) {
        float* at = to + (w / kPanel * kTile + r) * kPanel + w % kPanel;
        store(at, r < from.count ? words(row, from.width, w) : VecF{});
      }
    }
  }

  static void pack_right(float* to, const Rows<T>& from) { pack_left(to, from); }

  // The scores of two queries, in the form that sums over queries.
  static void store_for_keys(float* to, int64_t row, int64_t column, VecF even, VecF odd) {
    store(to + row * kTile + column, even);
    store(to + (row + 1) * kTile + column, odd);
  }
  // ... and in the form that sums over keys: here the same.
  static constexpr bool kOneScoreForm = true;
  static void store_for_queries(float*, int64_t, int64_t, VecF) {}
};

#if defined(__AVX512BF16__)
// bfloat16 pairs through the dot instruction; sums are float32.
struct PairMath {
  using Element = BFloat16;
  static constexpr int kDepth = 2;

  static VecF multiply_add(VecF left, VecF right, VecF sum) {
    return (VecF)_mm512_dpbf16_ps((__m512)sum, (__m512bh)(__m512)left, (__m512bh)(__m512)right);
  }

  static VecF words(const BFloat16* row, int64_t width, int64_t word) {
    const int64_t left = at_least(at_most(width - 2 * word, 2 * kWidth), 0);
    const __mmask32 lanes = static_cast<__mmask32>((uint64_t{1} << left) - 1);
    return (VecF)(__m512)_mm512_castsi512_ps(_mm512_maskz_loadu_epi16(lanes, row + 2 * word));
  }

  static void pack_left(float* to, const Rows<BFloat16>& from) {
    const int64_t padded = divide_up(from.count, kRowStep) * kRowStep;
    for (int64_t r = 0; r < padded; ++r) {
      const BFloat16* row = from.first + r * from.stride;
      for (int64_t w = 0; 2 * w < from.width; w += kWidth) {
        float* at = to + (w / kPanel * kTile + r) * kPanel + w % kPanel;
        store(at, r < from.count ? words(row, from.width, w) : VecF{});
      }
    }
  }

  // Word (r / 2, c) holds column c of rows r and r + 1, the even row in the low half.
  static void pack_right(float* to, const Rows<BFloat16>& from) {
    for (int64_t r = 0; r < from.count; r += 2) {
      const BFloat16* row = from.first + r * from.stride;
      for (int64_t w = 0; 2 * w < from.width; w += kWidth) {
        const VecF even = words(row, from.width, w);
        const VecF odd = r + 1 < from.count ? words(row + from.stride, from.width, w) : VecF{};
        float* at = to + (2 * w / kPanel * (kTile / 2) + r / 2) * kPanel;
        store_pairs(at, (__m512i)even, (__m512i)odd);
      }
    }
  }

  static void store_pairs(float* to, __m512i even, __m512i odd) {
    alignas(64) static constexpr uint16_t kLow[32] = {0,  32, 1,  33, 2,  34, 3,  35, 4,  36, 5,
                                                      37, 6,  38, 7,  39, 8,  40, 9,  41, 10, 42,
                                                      11, 43, 12, 44, 13, 45, 14, 46, 15, 47};
    const __m512i low = _mm512_load_si512(kLow);
    const __m512i high = _mm512_add_epi16(low, _mm512_set1_epi16(16));
    _mm512_storeu_si512(to, _mm512_permutex2var_epi16(even, low, odd));
    _mm512_storeu_si512(to + kWidth, _mm512_permutex2var_epi16(even, high, odd));
  }

  static void store_for_keys(float* to, int64_t row, int64_t column, VecF even, VecF odd) {
    alignas(64) static constexpr uint16_t kPairs[32] = {0,  16, 1,  17, 2,  18, 3,  19, 4,  20, 5,
                                                        21, 6,  22, 7,  23, 8,  24, 9,  25, 10, 26,
                                                        11, 27, 12, 28, 13, 29, 14, 30, 15, 31};
    const __m512i both = (__m512i)_mm512_cvtne2ps_pbh((__m512)odd, (__m512)even);
    _mm512_storeu_si512(to + row / 2 * kTile + column,
                        _mm512_permutexvar_epi16(_mm512_load_si512(kPairs), both));
  }
  static constexpr bool kOneScoreForm = false;
  static void store_for_queries(float* to, int64_t row, int64_t column, VecF values) {
    store(reinterpret_cast<BFloat16*>(to + row * (kTile / 2)) + column, values);
  }
};
#endif

// Words of a row of `width` elements.
template <class Math>
constexpr int64_t words_of(int64_t width) {
  return divide_up(width, Math::kDepth);
}

template <class Math>
void pack_transposed(float* to, const Rows<typename Math::Element>& from) {
  const int64_t words = words_of<Math>(from.width);
  for (int64_t r = 0; r < from.count; r += kWidth) {
    float* panel = to + r / kPanel * words * kPanel + r % kPanel;
    for (int64_t w = 0; w < words; w += kWidth) {
      VecF block[kWidth];
#pragma GCC unroll 16
      for (int i = 0; i < kWidth; ++i) {
        const bool inside = r + i < from.count;
        block[i] = inside ? Math::words(from.first + (r + i) * from.stride, from.width, w) : VecF{};
      }
      transpose_lanes(block);
      const int64_t rows = at_most(words - w, kWidth);
      for (int64_t i = 0; i < rows; ++i) store(panel + (w + i) * kPanel, block[i]);
    }
  }
}

// --- products ------------------------------------------------------------------------------------

template <class Math, int M, int N, int kRowStride, int kStepStride>
inline void add_steps(VecF (&sums)[M][N], const float* left, const float* right, int64_t steps) {
  for (int64_t s = 0; s < steps; ++s) {
    VecF columns[N];
#pragma GCC unroll 2
    for (int n = 0; n < N; ++n) columns[n] = load(right + n * kWidth);
#pragma GCC unroll 16
    for (int m = 0; m < M; ++m) {
      const VecF row = splat(left[m * kRowStride]);
#pragma GCC unroll 2
      for (int n = 0; n < N; ++n) sums[m][n] = Math::multiply_add(row, columns[n], sums[m][n]);
    }
    left += kStepStride;
    right += kPanel;
  }
}

template <int M, int N, int kStride>
inline void store_sums(float* to, const VecF (&sums)[M][N]) {
#pragma GCC unroll 16
  for (int m = 0; m < M; ++m) {
#pragma GCC unroll 2
    for (int n = 0; n < N; ++n) store(to + m * kStride + n * kWidth, sums[m][n]);
  }
}

template <int M, int N, int kStride>
inline void load_sums(VecF (&sums)[M][N], const float* from) {
#pragma GCC unroll 16
  for (int m = 0; m < M; ++m) {
#pragma GCC unroll 2
    for (int n = 0; n < N; ++n) sums[m][n] = load(from + m * kStride + n * kWidth);
  }
}

template <int kValue>
struct Count {
  static constexpr int value = kValue;
};

// Calls body(first row, Count<rows>) on groups that cover [begin, end); the last may reach beyond
// `end` by less than kRowStep.
template <class Body>
inline void for_row_groups(int64_t begin, int64_t end, const Body& body) {
  for (int64_t r = begin; r < end; r += kMicroRows) {
    const int64_t left = end - r;
    if (left > 2 * kRowStep) {
      body(r, Count<kMicroRows>{});
    } else if (left > kRowStep) {
      body(r, Count<2 * kRowStep>{});
    } else {
      body(r, Count<kRowStep>{});
    }
  }
}

// Calls body(first vector, Count<vectors>) on whole panels that cover vectors [begin, end).
template <class Body>
inline void for_panels(int64_t begin, int64_t end, const Body& body) {
  for (int64_t v = begin / 2 * 2; v < end; v += 2) {
    if (end - v >= 2) {
      body(v, Count<2>{});
    } else {
      body(v, Count<1>{});
    }
  }
}

// to[m][column] = sum over words: left rows of one group times right transposed, for vectors
// [begin, end) of the kTile columns.
template <class Math, int M>
inline void score_rows(float* to, const float* left, const float* right, int64_t words,
                       int64_t begin, int64_t end) {
  for_panels(begin, end, [&](int64_t v, auto vectors) {
    constexpr int N = decltype(vectors)::value;
    VecF sums[M][N] = {};
    const float* panel = right + v / 2 * words * kPanel;
    for (int64_t w = 0; w < words; w += kPanel) {
      add_steps<Math, M, N, kPanel, 1>(sums, left + w * kTile, panel + w * kPanel,
                                       at_most(words - w, kPanel));
    }
    store_sums<M, N, kTile>(to + v * kWidth, sums);
  });
}

struct Span {
  int64_t begin, end;
};

// sums[column panel][key][kPanel] += scores^T times right rows (queries). `queries_of(first, last)`
// is the span of queries whose scores with these keys may differ from 0.
template <class Math, class Spans>
inline void add_key_gradient(float* sums, const float* scores, const float* right, int64_t width,
                             int64_t num_keys, const Spans& queries_of) {
  for_panels(0, divide_up(width, kWidth), [&](int64_t v, auto vectors) {
    constexpr int N = decltype(vectors)::value;
    const float* panel = right + v / 2 * (kTile / Math::kDepth) * kPanel;
    for_row_groups(0, num_keys, [&](int64_t key, auto rows) {
      constexpr int M = decltype(rows)::value;
      const Span queries = queries_of(key, key + M);
      const int64_t begin = queries.begin / Math::kDepth;
      const int64_t end = divide_up(queries.end, Math::kDepth);
      if (begin >= end) return;
      float* to = sums + (v / 2 * kTile + key) * kPanel;
      VecF group[M][N];
      load_sums<M, N, kPanel>(group, to);
      add_steps<Math, M, N, 1, kTile>(group, scores + begin * kTile + key, panel + begin * kPanel,
                                      end - begin);
      store_sums<M, N, kPanel>(to, group);
    });
  });
}

// sums[column panel][query][kPanel] = (or +=, unless `first`) scores times right rows (keys).
// `keys_of(first, last)` is the span of keys whose scores with these queries may differ from 0.
template <class Math, class Spans>
inline void add_query_gradient(float* sums, bool first, const float* scores, const float* right,
                               int64_t width, int64_t num_queries, const Spans& keys_of) {
  constexpr int kStride = kTile / Math::kDepth;
  for_panels(0, divide_up(width, kWidth), [&](int64_t v, auto vectors) {
    constexpr int N = decltype(vectors)::value;
    const float* panel = right + v / 2 * kStride * kPanel;
    for_row_groups(0, num_queries, [&](int64_t query, auto rows) {
      constexpr int M = decltype(rows)::value;
      const Span keys = keys_of(query, query + M);
      const int64_t begin = keys.begin / Math::kDepth;
      const int64_t end = divide_up(keys.end, Math::kDepth);
      float* to = sums + (v / 2 * kTile + query) * kPanel;
      VecF group[M][N] = {};
      if (!first) load_sums<M, N, kPanel>(group, to);
      add_steps<Math, M, N, kStride, 1>(group, scores + query * kStride + begin,
                                        panel + begin * kPanel, end - begin);
      store_sums<M, N, kPanel>(to, group);
    });
  });
}

}  // namespace llmcore::cpu::LLMCORE_ISA::gradient
