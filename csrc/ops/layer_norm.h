// Layer normalisation over the last axis, and its gradient. Ba, Kiros & Hinton 2016,
// arXiv:1607.06450; with a scaled residual in front DeepNorm's, Wang et al. 2022, arXiv:2203.00555.
//
//   h_nc   = residual_scale * residual_nc + x_nc   rounded to the dtype; without a residual h = x
//   mu_n   = mean_c(h_nc),  r_n = 1 / sqrt(mean_c((h_nc - mu_n)^2) + eps)
//   u_nc   = (h_nc - mu_n) * r_n
//   y_nc   = weight_c * u_nc + bias_c
//
//   g_nc   = dy_nc * weight_c
//   dh'_nc = r_n * (g_nc - mean_c(g_nc) - u_nc * mean_c(g_nc * u_nc)) + dh_nc
//   dx = dh',  dresidual = residual_scale * dh'
//   dweight_c = sum_n dy_nc * u_nc,  dbias_c = sum_n dy_nc
//
// All sums are float32 and each element is rounded once, to the dtype. mu is kept as two float32
// numbers, a first mean and the mean of what it leaves: h - mu is then as good as exact where
// |mu| is far above the deviation, and so is the variance. A row is reduced in one order that
// depends on C alone. mu and r are recomputed in the backward: the row is in cache then.
#pragma once

#include <cstdint>

#include "core/dtype.h"
#include "core/parallel.h"
#include "ops/norm_shape.h"

namespace llmcore {

// All tensors are contiguous (N, C) or (C,), of one dtype.
struct LayerNormArgs {
  const void* x;
  const void* weight;
  const void* bias;  // nullptr: zero
  void* y;
  int64_t rows;
  int64_t cols;
  float eps;
  DType dtype;
  const void* residual = nullptr;  // nullptr: none
  void* h = nullptr;               // written where there is a residual
  float residual_scale = 1.0f;
};

struct LayerNormBackwardArgs {
  const void* dy;
  const void* x;  // h, where the forward had a residual
  const void* weight;
  void* dx;
  void* dweight;
  void* dbias;      // nullptr: not wanted
  float* partials;  // scratch: (num_partials, 2, norm_padded_cols(C))
  int64_t num_partials;
  int64_t rows;
  int64_t cols;
  float eps;
  DType dtype;
  const void* dh = nullptr;   // nullptr: zero
  void* dresidual = nullptr;  // nullptr: not wanted, as when residual_scale is 1 and dx serves
  float residual_scale = 1.0f;
};

namespace cpu {

void layer_norm(const LayerNormArgs& args, const ParallelFor& parallel_for);
void layer_norm_backward(const LayerNormBackwardArgs& args, const ParallelFor& parallel_for);

}  // namespace cpu

}  // namespace llmcore
