// Root-mean-square normalisation over the last axis, and its gradient. Zhang & Sennrich 2019,
// arXiv:1910.07467, with eps inside the root as in LLaMA.
//
//   h_nc  = residual_scale * residual_nc + x_nc   rounded to the dtype; without a residual h = x
//   r_n   = 1 / sqrt(mean_{c < rms_cols}(h_nc^2) + eps)
//   y_nc  = (offset + weight_c) * h_nc * r_n
//
//   g_nc  = dy_nc * (offset + weight_c)
//   dh'_nc = r_n * (g_nc - [c < rms_cols] * h_nc * r_n^2 * sum_c(g_nc * h_nc) / rms_cols) + dh_nc
//   dx = dh',  dresidual = residual_scale * dh'
//   dweight_c = sum_n dy_nc * h_nc * r_n
//
// All sums are float32 and each element is rounded once, to the dtype. A row is reduced in one
// order that depends on C alone. r_n is recomputed in the backward: the row is in cache then.
#pragma once

#include <cstdint>

#include "core/dtype.h"
#include "core/parallel.h"
#include "ops/norm_shape.h"

namespace llmcore {

// All tensors are contiguous (N, C) or (C,), of one dtype. The CUDA kernels know neither offset,
// residual nor rms_cols: their door refuses them.
struct RmsNormArgs {
  const void* x;
  const void* weight;
  void* y;
  int64_t rows;
  int64_t cols;
  float eps;
  DType dtype;
  float offset = 0.0f;
  int64_t rms_cols = -1;           // -1: all
  const void* residual = nullptr;  // nullptr: none
  void* h = nullptr;               // written where there is a residual
  float residual_scale = 1.0f;
};

struct RmsNormBackwardArgs {
  const void* dy;
  const void* x;  // h, where the forward had a residual
  const void* weight;
  void* dx;
  void* dweight;
  float* partials;  // scratch: (num_partials, C); on the CPU (num_partials, norm_padded_cols(C))
  int64_t num_partials;
  int64_t rows;
  int64_t cols;
  float eps;
  DType dtype;
  float offset = 0.0f;
  int64_t rms_cols = -1;
  const void* dh = nullptr;   // nullptr: zero
  void* dresidual = nullptr;  // nullptr: not wanted, as when residual_scale is 1 and dx serves
  float residual_scale = 1.0f;
};

namespace cpu {

void rms_norm(const RmsNormArgs& args, const ParallelFor& parallel_for);
void rms_norm_backward(const RmsNormBackwardArgs& args, const ParallelFor& parallel_for);

}  // namespace cpu

namespace cuda {

// Number of partial dweight rows that the backward writes on the current device.
int64_t rms_norm_num_partials(int64_t rows, int64_t cols, DType dtype);

// `stream` is a cudaStream_t. A launch error throws std::runtime_error.
void rms_norm_cuda(const RmsNormArgs& args, void* stream);
void rms_norm_backward_cuda(const RmsNormBackwardArgs& args, void* stream);

}  // namespace cuda

}  // namespace llmcore
