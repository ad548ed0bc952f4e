// Root-mean-square normalisation over the last axis, and its gradient. Zhang & Sennrich 2019,
// arXiv:1910.07467, with eps inside the root as in LLaMA.
//
//   r_n   = 1 / sqrt(mean_c(x_nc^2) + eps)
//   y_nc  = weight_c * x_nc * r_n
//
//   g_nc  = dy_nc * weight_c
//   dx_nc = r_n * (g_nc - x_nc * r_n^2 * mean_c(g_nc * x_nc))
//   dweight_c = sum_n dy_nc * x_nc * r_n
//
// All sums are float32 and each element is rounded once, to the dtype. A row is reduced in one
// order that depends on C alone. r_n is recomputed in the backward: the row is in cache then.
#pragma once

#include <cstdint>

#include "core/dtype.h"
#include "core/parallel.h"

namespace llmcore {

// All tensors are contiguous (N, C) or (C,), of one dtype.
struct RmsNormArgs {
  const void* x;
  const void* weight;
  void* y;
  int64_t rows;
  int64_t cols;
  float eps;
  DType dtype;
};

struct RmsNormBackwardArgs {
  const void* dy;
  const void* x;
  const void* weight;
  void* dx;
  void* dweight;
  float* partials;  // (num_partials, C) scratch
  int64_t num_partials;
  int64_t rows;
  int64_t cols;
  float eps;
  DType dtype;
};

namespace cpu {

// dweight is summed per block of rows, then over blocks: the split depends on `rows` alone, so the
// result depends on no thread count.
constexpr int64_t rms_norm_rows_per_partial(int64_t rows) {
  const int64_t even = (rows + 63) / 64;
  return even < 8 ? 8 : (even > 64 ? 64 : even);
}
constexpr int64_t rms_norm_num_partials(int64_t rows) {
  const int64_t block = rms_norm_rows_per_partial(rows);
  return (rows + block - 1) / block;
}

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
