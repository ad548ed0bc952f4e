// What rms_norm and layer_norm share: groups of rows, per-channel factors in lane order, the
// residual sum in front, and the sums over rows of the backward.
#pragma once

#include "core/parallel.h"
#include "cpu/row_output.h"
#include "cpu/vec_math.h"
#include "cpu/vec_pair.h"
#include "ops/norm_shape.h"

namespace llmcore::cpu::LLMCORE_ISA {

constexpr int64_t kPair = 2 * kWidth;

inline VecPair multiply_add(VecPair x, VecPair y, VecPair z) {
  return {fused_multiply_add(x.a, y.a, z.a), fused_multiply_add(x.b, y.b, z.b)};
}
inline VecPair multiply(VecPair x, VecPair y) {
  return {x.a * y.a, x.b * y.b};
}
inline VecPair scaled(VecPair x, VecF factor) {
  return {x.a * factor, x.b * factor};
}
inline VecPair shifted(VecPair x, VecF by) {
  return {x.a - by, x.b - by};
}
inline float sum_lanes(VecPair x) {
  return sum_lanes(x.a + x.b);
}

// A row is walked in whole pairs and, where its width is no multiple of one, a part of a pair.
struct Whole {};
struct Part {
  int64_t size;
};
template <class T>
inline VecPair load_pair(const T* p, Whole) {
  return load_pair(p);
}
template <class T>
inline VecPair load_pair(const T* p, Part part) {
  return load_pair_tail(p, part.size);
}
template <class T>
inline void store_pair(T* p, VecPair v, Whole) {
  store_pair(p, v);
}
template <class T>
inline void store_pair(T* p, VecPair v, Part part) {
  store_pair_tail(p, v, part.size);
}

// Calls step(c, Whole or Part) for the pairs of columns [0, cols).
template <class F>
inline void for_pairs(int64_t cols, const F& step) {
  int64_t c = 0;
  for (; c + kPair <= cols; c += kPair) step(c, Whole{});
  if (c < cols) step(c, Part{cols - c});
}

// Several short rows at once hide the latency of each row's sum, root and quotient, where the data
// is near the core. From memory a group's rows are as many streams, which the prefetcher follows
// worse: rows one by one are up to twice as fast there, and prefetches by hand did not help. A row
// is summed in the same order alone and in a group.
template <class T>
inline bool takes_groups(int64_t rows, int64_t cols) {
  constexpr int64_t kNearBytes = int64_t{4} << 20, kShortRow = 2048;
  const int64_t row = cols * static_cast<int64_t>(sizeof(T));
  return row <= kShortRow && rows * row <= kNearBytes;
}

// Calls function(row, group size as a constant) over [begin, end).
template <int kGroup, class F>
inline void for_row_groups(int64_t begin, int64_t end, bool groups, const F& function) {
  int64_t n = begin;
  if (groups) {
    for (; n + kGroup <= end; n += kGroup) function.template operator()<kGroup>(n);
  }
  for (; n < end; ++n) function.template operator()<1>(n);
}

// A wide row is written a chunk at a time, so that it leaves the first-level cache at once (see
// row_output.h): calls function(first column, columns). A group's rows are one chunk.
constexpr int64_t kChunk = 1024;
template <int kRows, class F>
inline void for_chunks(int64_t cols, const F& function) {
  if constexpr (kRows > 1) return function(0, cols);
  for (int64_t c = 0; c < cols; c += kChunk) function(c, cols - c < kChunk ? cols - c : kChunk);
}
inline int64_t chunk_elements(int64_t group, int64_t cols) {
  return group > 1 ? group * cols : (cols < kChunk ? cols : kChunk);
}

// offset + values_c in float32 and in the lane order of load_pair<T>, in whole pairs; `values` may
// be null: offset alone.
template <class T>
inline void widen_channels(float* to, const T* values, int64_t cols, float offset) {
  const VecF offsets = broadcast(offset);
  for_pairs(cols, [&](int64_t c, auto size) {
    VecPair v{};
    if (values != nullptr) v = load_pair(values + c, size);
    store_pair(to + c, VecPair{v.a + offsets, v.b + offsets});
  });
}

// h = scale * residual + x for `size` consecutive elements, rounded once.
template <class T>
inline void add_residual(T* h, const T* x, const T* residual, float scale, int64_t count) {
  const VecPair scales{broadcast(scale), broadcast(scale)};
  for_pairs(count, [&](int64_t i, auto size) {
    const VecPair r = load_pair(residual + i, size), v = load_pair(x + i, size);
    store_pair(h + i, multiply_add(scales, r, v), size);
  });
}

inline void zero_floats(float* to, int64_t count) {
  for (int64_t i = 0; i < count; i += kPair) store_pair(to + i, VecPair{});
}

// out_c = sum over p of partials[p * stride + c] for columns [begin, end), begin on a pair's start:
// the blocks' sums in block order, in double. The partials are in the lane order of load_pair<T>.
template <class T>
inline void sum_partials(T* out, const float* partials, int64_t num_partials, int64_t stride,
                         int64_t begin, int64_t end) {
  typedef double VecD __attribute__((vector_size(kWidth * 8)));
  for_pairs(end - begin, [&](int64_t c, auto size) {
    VecD a = {}, b = {};
    for (int64_t p = 0; p < num_partials; ++p) {
      const VecPair v = load_pair(partials + p * stride + begin + c);
      a += __builtin_convertvector(v.a, VecD);
      b += __builtin_convertvector(v.b, VecD);
    }
    const VecPair sum{__builtin_convertvector(a, VecF), __builtin_convertvector(b, VecF)};
    store_pair(out + begin + c, sum, size);
  });
}

// The same for all columns, in tasks of whole pairs.
template <class T>
inline void sum_partials(T* out, const float* partials, int64_t num_partials, int64_t stride,
                         int64_t cols, const ParallelFor& parallel_for) {
  const auto pairs = [&](int64_t begin, int64_t end) {
    const int64_t last = end * kPair < cols ? end * kPair : cols;
    sum_partials(out, partials, num_partials, stride, begin * kPair, last);
  };
  parallel_for(0, (cols + kPair - 1) / kPair, grain_rows(num_partials * kPair), pairs);
}

}  // namespace llmcore::cpu::LLMCORE_ISA
