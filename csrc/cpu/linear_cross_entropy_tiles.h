// Products of `linear_cross_entropy`: rows of one operand ("left"), read in place word by word and
// spread over all lanes, times packed panels of 64 columns of the other ("right").
//
//   c[r][j] = (fresh ? 0 : c[r][j]) + sum_step left[r][step] right[step][j]        j < 64
//
// A word is 32 bits: one float32, or with the dot instruction of AVX512_BF16 a pair of bfloat16,
// so that a step sums one or two products. A call is one chain of sums; c is float32, rows of 64.
#pragma once

#include "cpu/linear_cross_entropy_plan.h"
#include "cpu/vec.h"
#include "cpu/vec_math.h"

namespace llmcore::cpu::LLMCORE_ISA::lce {

constexpr int64_t kBlock = kLceBlock;
constexpr int64_t kSteps = 128;  // of a chain: longer ones lose accuracy, shorter ones time
constexpr int64_t kStride = kSteps + 16;  // from row to row of a gradient: odd in cache lines
constexpr int kTileRows = 6;
#if defined(__AVX512F__)
constexpr int kTileVectors = 4;
#else
constexpr int kTileVectors = 2;
#endif

template <class Word>
inline Word word_at(const char* p) {
  Word word;
  __builtin_memcpy(&word, p, sizeof(word));
  return word;
}

// --- arithmetic: how elements become words -------------------------------------------------------

// float32 words of any storage type.
template <class T>
struct FloatMath {
  typedef T Element;
  typedef float Word;
  static constexpr int64_t kDepth = 1;
  static VecF spread(float x) { return x - VecF{}; }
  static VecF multiply_add(VecF left, VecF right, VecF sum) {
    return fused_multiply_add(left, right, sum);
  }
  // n <= kWidth columns of row k of (rows, stride); zero beyond the rows.
  static VecF row_words(const T* from, int64_t stride, int64_t rows, int64_t k, int64_t n) {
    return k < rows ? load_tail(from + k * stride, n) : VecF{};
  }
};

#if defined(__AVX512BF16__)
// Pairs of bfloat16, the even one in the low half.
struct PairMath {
  typedef BFloat16 Element;
  typedef uint32_t Word;
  static constexpr int64_t kDepth = 2;
  static VecF spread(uint32_t pair) { return (VecF)_mm512_set1_epi32(static_cast<int32_t>(pair)); }
  static VecF multiply_add(VecF left, VecF right, VecF sum) {
    return (VecF)_mm512_dpbf16_ps((__m512)sum, (__m512bh)(__m512)left, (__m512bh)(__m512)right);
  }
  static VecF row_words(const BFloat16* from, int64_t stride, int64_t rows, int64_t k, int64_t n) {
    if (2 * k >= rows) return VecF{};
    const VecU even = (VecU)load_tail(from + 2 * k * stride, n);
    if (2 * k + 1 >= rows) return (VecF)(even >> 16);
    return (VecF)((even >> 16) | (VecU)load_tail(from + (2 * k + 1) * stride, n));
  }
};
#endif

template <class T>
inline VecF rounded(VecF v) {
  if constexpr (sizeof(T) == 4) return v;
  return from_bfloat16(bfloat16_bits(v));
}

template <class Math>
constexpr int64_t words_of(int64_t count) {
  return lce_divide_up(count, Math::kDepth);
}

// --- packing -------------------------------------------------------------------------------------

// Panel of 64 columns from `col` on of (rows, width): [word of rows][64], zero beyond both.
template <class Math>
void pack_panel(const typename Math::Element* from, int64_t rows, int64_t width, int64_t col,
                int64_t words, float* to) {
  const int64_t cols = width - col < kBlock ? width - col : kBlock;
  for (int64_t k = 0; k < words; ++k) {
    for (int64_t j = 0; j < kBlock; j += kWidth) {
      const int64_t left = cols - j, n = left < 0 ? 0 : (left < kWidth ? left : kWidth);
      store(to + k * kBlock + j,
            n > 0 ? Math::row_words(from + col + j, width, rows, k, n) : VecF{});
    }
  }
}

// A row as words of its own elements.
template <class Math>
void row_as_words(const typename Math::Element* from, int64_t width, float* to) {
  if constexpr (Math::kDepth == 2) {
    const int64_t words = words_of<Math>(width);
    if (width % 2 != 0) to[words - 1] = 0.0f;
    __builtin_memcpy(to, from, static_cast<size_t>(width) * sizeof(*from));
  } else {
    int64_t c = 0;
    for (; c + kWidth <= width; c += kWidth) store(to + c, load(from + c));
    store_tail(to + c, load_tail(from + c, width - c), width - c);
  }
}

// Up to 64 rows (rows, width), turned: [word of the width][64 rows], zero beyond the rows.
template <class Math>
void pack_turned(const typename Math::Element* from, int64_t rows, int64_t width, float* to) {
  const int64_t words = words_of<Math>(width);
  float row[kSteps];
  for (int64_t k = 0; k < words; k += kSteps) {
    const int64_t count = words - k < kSteps ? words - k : kSteps;
    const int64_t first = k * Math::kDepth, past = (k + count) * Math::kDepth;
    for (int64_t r = 0; r < kBlock; ++r) {
      const int64_t cols = r < rows ? (past < width ? past : width) - first : 0;
      row_as_words<Math>(from + r * width + first, cols, row);
      for (int64_t i = 0; i < count; ++i) to[(k + i) * kBlock + r] = r < rows ? row[i] : 0.0f;
    }
  }
}

// The gradient of a slice by 64 tokens, float32 rows kStride apart, rounded to the element, as left
// operand:
// ... of sums over tokens: 64 elements of each row at `to`, rows kStride apart;
template <class Math>
void as_rows(const float* gradient, int64_t rows, float* to) {
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t j = 0; j < kBlock; j += kWidth) {
      const VecF v = load(gradient + r * kStride + j);
      if constexpr (Math::kDepth == 2) {
        store(reinterpret_cast<BFloat16*>(to + r * kStride) + j, v);
      } else {
        store(to + r * kStride + j, rounded<typename Math::Element>(v));
      }
    }
  }
}

// ... of sums over the slice's rows: word by word, 64 tokens each, in place.
template <class Math>
void as_columns(float* gradient, int64_t rows) {
  for (int64_t k = 0; k < words_of<Math>(rows); ++k) {
    float* to = gradient + k * kStride;
    for (int64_t j = 0; j < kBlock; j += kWidth) {
      const float* from = gradient + k * Math::kDepth * kStride + j;
      VecF v = rounded<typename Math::Element>(load(from));
      if constexpr (Math::kDepth == 2) {
        VecU odd{};
        if (2 * k + 1 < rows) odd = (VecU)rounded<BFloat16>(load(from + kStride));
        v = (VecF)(((VecU)v >> 16) | odd);
      }
      store(to + j, v);
    }
  }
}

// --- memory to fetch meanwhile -------------------------------------------------------------------

// `rows` rows of `bytes` bytes, shared out evenly among `parts` calls of next().
struct Fetcher {
  const char* from;
  int64_t rows;
  int64_t bytes;
  int64_t stride;
  int64_t parts;
  int64_t due = 0;  // of `parts` calls per row

  // always_inline: GCC 12 drops a call whose only effect is a prefetch.
  __attribute__((always_inline)) void next() {
    for (due += rows; due >= parts; due -= parts) {
      for (int64_t at = 0; at < bytes; at += 64) __builtin_prefetch(from + at, 0, 2);
      from += stride;
    }
  }
};

// --- the product ---------------------------------------------------------------------------------

struct Left {
  const char* words;
  int64_t row_bytes;
  int64_t step_bytes;
};

// kRows rows by kVectors vectors of columns; c holds nothing yet where `fresh`.
template <class Math, int kRows, int kVectors>
void tile(const Left& left, const float* right, int64_t steps, bool fresh, float* c) {
  typedef typename Math::Word Word;
  VecF sums[kRows][kVectors] = {};
  const char* word = left.words;
  for (int64_t step = 0; step < steps; ++step) {
    VecF columns[kVectors];
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) columns[v] = load(right + v * kWidth);
#pragma GCC unroll 6
    for (int r = 0; r < kRows; ++r) {
      const VecF spread = Math::spread(word_at<Word>(word + r * left.row_bytes));
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) {
        sums[r][v] = Math::multiply_add(spread, columns[v], sums[r][v]);
      }
    }
    word += left.step_bytes;
    right += kBlock;
  }
#pragma GCC unroll 6
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) {
      float* to = c + r * kBlock + v * kWidth;
      store(to, fresh ? sums[r][v] : load(to) + sums[r][v]);
    }
  }
}

template <class Math, int kVectors>
void tile_of(int64_t rows, const Left& left, const float* right, int64_t steps, bool fresh,
             float* c) {
  switch (rows) {
    case 1:
      return tile<Math, 1, kVectors>(left, right, steps, fresh, c);
    case 2:
      return tile<Math, 2, kVectors>(left, right, steps, fresh, c);
    case 3:
      return tile<Math, 3, kVectors>(left, right, steps, fresh, c);
    case 4:
      return tile<Math, 4, kVectors>(left, right, steps, fresh, c);
    case 5:
      return tile<Math, 5, kVectors>(left, right, steps, fresh, c);
    default:
      return tile<Math, 6, kVectors>(left, right, steps, fresh, c);
  }
}

template <class Math, int kVectors>
void columns_product(int64_t rows, const Left& left, const float* right, int64_t steps, bool fresh,
                     Fetcher& fetcher, float* c) {
  for (int64_t r = 0; r < rows; r += kTileRows) {
    fetcher.next();
    const Left from{left.words + r * left.row_bytes, left.row_bytes, left.step_bytes};
    tile_of<Math, kVectors>(rows - r, from, right, steps, fresh, c + r * kBlock);
  }
}

// c (rows, cols) of one chain, and what else is in the last vector; between its tiles `fetcher`
// fetches.
template <class Math>
void product(int64_t rows, int64_t cols, const Left& left, const float* right, int64_t steps,
             bool fresh, Fetcher& fetcher, float* c) {
  int64_t vectors = lce_divide_up(cols, kWidth);
  for (; vectors >= kTileVectors; vectors -= kTileVectors) {
    columns_product<Math, kTileVectors>(rows, left, right, steps, fresh, fetcher, c);
    right += kTileVectors * kWidth;
    c += kTileVectors * kWidth;
  }
  if (vectors == 1) columns_product<Math, 1>(rows, left, right, steps, fresh, fetcher, c);
  if constexpr (kTileVectors > 2) {
    if (vectors == 2) columns_product<Math, 2>(rows, left, right, steps, fresh, fetcher, c);
    if (vectors == 3) columns_product<Math, 3>(rows, left, right, steps, fresh, fetcher, c);
  }
}

}  // namespace llmcore::cpu::LLMCORE_ISA::lce
