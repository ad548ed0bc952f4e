// Linear map over prepacked weights: y = x W^T + b, forward only, for inference.
//
//   y_mo = b_o + sum_i x_mi * W_oi
//   W_oi = q_oi * s_og, g = i / group_size, for the integer formats
//
// Layout of the packed weight. Output channels come in panels of kPanelWidth = 64, the last one
// padded with zeros; a panel stores, one after another, the steps of 1, 2 or 8 input channels:
//
//   format    one step holds                       shape of the tensor
//   float32   W[i][64]                             (panels, I, 64) float32
//   bfloat16  W[i / 2][64][2]                      (panels, ceil(I / 2), 64, 2) bfloat16
//   int8      q[i / 2][64][2]                      (panels, ceil(I / 2), 64, 2) int8
//   int4      q[i / 8][64] in one int32 each:      (panels, ceil(I / 8), 64) int32
//             bits 4j to 4j + 3 hold i = 2j, bits 16 + 4j to 19 + 4j hold i = 2j + 1, j < 4
//
// and the scales are (panels, groups, 64) bfloat16, zero for padded channels. One layout serves
// every instruction set, so packed tensors can be stored. q is two's complement, so the product of
// a 4 or 8 bit q and a bfloat16 scale is exact in float32.
//
// Order of the sums, the same for every M, row position, split over threads and block size:
//   - inputs come in blocks of 64, or of 32 in groups of 32; a block is one chain, ascending, of
//     float32 fused multiply-adds (multiply, then add, where the set has no FMA);
//   - where the bfloat16 dot instruction is in use (bfloat16 x; it multiplies integers exactly too)
//     blocks are of 128, or one group if that is smaller, and a chain goes by pairs of inputs, with
//     the instruction's own rounding;
//   - block sums are added ascending, by a fused multiply-add with the scale of their group if
//   there
//     are groups;
//   - the per-channel scale and the bias come last, in one fused multiply-add; y rounds once, to
//   its
//     dtype.
// Blocks are there for accuracy: one chain over 4,096 inputs errs 4 times as much as PyTorch's.
//
// Other kernels can multiply by packed panels inside their own loops: see cpu/linear_panel.h.
#pragma once

#include <cstdint>

#include "core/dtype.h"
#include "core/parallel.h"

namespace llmcore {

enum class WeightFormat : uint8_t { kFloat32, kBFloat16, kInt8, kInt4 };

constexpr int64_t kPanelWidth = 64;

constexpr int64_t linear_num_panels(int64_t out_size) {
  return (out_size + kPanelWidth - 1) / kPanelWidth;
}
constexpr int64_t linear_step_size(WeightFormat format) {
  return format == WeightFormat::kFloat32 ? 1 : (format == WeightFormat::kInt4 ? 8 : 2);
}
constexpr int64_t linear_num_steps(WeightFormat format, int64_t in_size) {
  return (in_size + linear_step_size(format) - 1) / linear_step_size(format);
}
constexpr int64_t linear_step_bytes(WeightFormat format) {
  return format == WeightFormat::kInt8 ? 2 * kPanelWidth : 4 * kPanelWidth;
}
constexpr bool linear_is_quantised(WeightFormat format) {
  return format == WeightFormat::kInt8 || format == WeightFormat::kInt4;
}
// Groups of input channels that have a scale of their own; group_size 0 means one for all.
constexpr int64_t linear_num_groups(int64_t in_size, int64_t group_size) {
  return group_size == 0 ? 1 : (in_size + group_size - 1) / group_size;
}

// The weight of one linear map as the kernels see it.
struct PackedWeight {
  const void* data;
  const uint16_t* scales;  // bits of bfloat16; null for the float formats
  int64_t in_size;
  int64_t out_size;
  int64_t group_size;  // 0: one group
  WeightFormat format;
};

// x is (M, I) and y (M, O), both contiguous; bias is (O,) or null. All have `dtype`, float32 or
// bfloat16.
struct LinearArgs {
  const void* x;
  PackedWeight weight;
  const void* bias;
  void* y;
  void* scratch;  // cpu::linear_scratch_bytes(rows, in_size) bytes; null where that is 0
  int64_t rows;
  DType dtype;
  // Whether bfloat16 x takes the bfloat16 dot instruction, where the set has it. One process must
  // keep one answer: the two round differently. See cpu/tuning.h.
  bool bfloat16_dot;
};

namespace cpu {

void linear(const LinearArgs& args, const ParallelFor& parallel_for);

}  // namespace cpu

}  // namespace llmcore
