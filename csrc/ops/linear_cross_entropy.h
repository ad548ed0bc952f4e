// Output projection and cross-entropy in one, with the gradients of a weighted sum of the losses.
//
//   x_nv     = bias_v + sum_c hidden_nc weight_vc, rounded to the dtype
//   losses_n = cross_entropy(x_n, labels_n)                            (see ops/cross_entropy.h)
//   dx_nv    = dlosses_n d losses_n / d x_nv, rounded to the dtype
//   dhidden_nc = sum_v dx_nv weight_vc,  dweight_vc = sum_n dx_nv hidden_nc,  dbias_v = sum_n dx_nv
//
// The tokens go through in at most 4 chunks, of at least 256, whose logits are kept transposed:
// tokens are the lanes of a vector, so the softmax reduces no vector and a token's loss cannot
// depend on its neighbours. Sums, the same for any number of threads
// (cpu/linear_cross_entropy_plan.h):
//   - logits: blocks of 128 channels (256 with the bfloat16 dot instruction), added ascending;
//   - losses: float32 over the 96 or fewer vocabulary rows of a slice, float64 over slices;
//   - dhidden: slices ascending within a group of slices, then groups ascending;
//   - dweight: blocks of 128 tokens (256) ascending within a chunk, then chunks ascending, between
//   which a
//     bfloat16 gradient is rounded.
#pragma once

#include <cstdint>

#include "core/dtype.h"
#include "core/parallel.h"

namespace llmcore {

// All tensors are contiguous; hidden (N, C), weight (V, C), bias (V,), dhidden and dweight have
// `dtype`, float32 or bfloat16.
struct LinearCrossEntropyArgs {
  const void* hidden;
  const void* weight;
  const void* bias;  // null: none
  const int64_t* labels;
  const float* dlosses;  // (N,); null: no gradient
  float* losses;         // (N,)
  void* dhidden;         // null: not wanted; so are the next two
  void* dweight;
  float* dbias;   // (V,) float32
  void* scratch;  // cpu::lce_scratch_bytes
  int64_t rows;
  int64_t width;
  int64_t vocab_size;
  int64_t ignore_index;
  float label_smoothing;
  float z_loss;
  float softcap;
  DType dtype;
  bool bfloat16_dot;  // as in LinearArgs
};

namespace cpu {

void linear_cross_entropy(const LinearCrossEntropyArgs& args, const ParallelFor& parallel_for);

}  // namespace cpu

}  // namespace llmcore
