// Rotary position embedding. Su et al. 2021, arXiv:2104.09864, equation 34. With c and s the
// tables' row of the token, pair i of the first 2 Dh channels of each head becomes
//
//   y_a = x_a c_i - x_b s_i        y_b = x_b c_i + x_a s_i
//
// with (a, b) = (i, i + Dh), or (2i, 2i + 1) if interleaved; the other channels are copied. The
// gradient is the transposed matrix, s negated (`inverse`), so tables may carry a scale as those of
// xPos do. Products and sums are float32 and each element is rounded once, to the dtype.
#pragma once

#include <cstdint>

#include "core/dtype.h"
#include "core/parallel.h"

namespace llmcore {

// cos or sin: row r of batch b starts at data + b * batch + r * row and has Dh numbers.
struct RopeTable {
  const float* data;
  int64_t batch;
  int64_t row;
};

// Strides count elements; the last axis of x and y is contiguous. y is x for a rotation in place,
// and shares no memory with x otherwise.
struct RopeArgs {
  const void* x;
  void* y;
  int64_t batch, length, heads, head_dim;  // B, T, H, D
  int64_t x_batch, x_token, x_head;
  int64_t y_batch, y_token, y_head;
  RopeTable cos, sin;
  int64_t pairs;             // Dh, at most D / 2
  const int64_t* positions;  // table rows of the tokens, all of them in range; null: row t
  int64_t position_batch, position_token;
  bool interleaved;
  bool inverse;
  DType dtype;
};

namespace cpu {

void rope(const RopeArgs& args, const ParallelFor& parallel_for);

}  // namespace cpu

}  // namespace llmcore
