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

template <class T>
inline VecPair load_pair_up_to(const T* p, int64_t n) {
  return n >= kPair ? load_pair(p) : load_pair_tail(p, n);
}
template <class T>
inline void store_pair_up_to(T* p, VecPair v, int64_t n) {
  n >= kPair ? store_pair(p, v) : store_pair_tail(p, v, n);
}

// Several short rows at once hide the latency of each row's sum, root and quotient. A row is summed
// in the same order alone and in a group.
template <class T>
inline bool takes_groups(int64_t cols) {
  return cols * static_cast<int64_t>(sizeof(T)) <= 2048;
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

// offset + values_c in float32 and in the lane order of load_pair<T>, in whole pairs; `values` may
// be null: offset alone.
template <class T>
inline void widen_channels(float* to, const T* values, int64_t cols, float offset) {
  const VecF offsets = broadcast(offset);
  for (int64_t c = 0; c < cols; c += kPair) {
    VecPair v{};
    if (values != nullptr) v = load_pair_up_to(values + c, cols - c);
    store_pair(to + c, VecPair{v.a + offsets, v.b + offsets});
  }
}

// h = scale * residual + x for `size` consecutive elements, rounded once.
template <class T>
inline void add_residual(T* h, const T* x, const T* residual, float scale, int64_t size) {
  const VecPair scales{broadcast(scale), broadcast(scale)};
  int64_t i = 0;
  for (; i + kPair <= size; i += kPair) {
    store_pair(h + i, multiply_add(scales, load_pair(residual + i), load_pair(x + i)));
  }
  if (i < size) {
    const int64_t n = size - i;
    store_pair_tail(
        h + i, multiply_add(scales, load_pair_tail(residual + i, n), load_pair_tail(x + i, n)), n);
  }
}

inline void zero_floats(float* to, int64_t size) {
  for (int64_t i = 0; i < size; i += kPair) store_pair(to + i, VecPair{});
}

// out_c = sum over p of partials[p * stride + c] for columns [begin, end), begin on a pair's start:
// the blocks' sums in block order, in double. The partials are in the lane order of load_pair<T>.
template <class T>
inline void sum_partials(T* out, const float* partials, int64_t num_partials, int64_t stride,
                         int64_t begin, int64_t end) {
  typedef double VecD __attribute__((vector_size(kWidth * 8)));
  for (int64_t c = begin; c < end; c += kPair) {
    VecD a = {}, b = {};
    for (int64_t p = 0; p < num_partials; ++p) {
      const VecPair v = load_pair(partials + p * stride + c);
      a += __builtin_convertvector(v.a, VecD);
      b += __builtin_convertvector(v.b, VecD);
    }
    const VecPair sum{__builtin_convertvector(a, VecF), __builtin_convertvector(b, VecF)};
    store_pair_up_to(out + c, sum, end - c);
  }
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
