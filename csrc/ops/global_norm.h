// Euclidean norm over the elements of many tensors together.
//
//   norm = sqrt(sum over tensors and elements of x^2)
//
// Squares and sums are double: no float32 over- or underflows. Each block of a tensor gives one
// partial sum, and the partials are added in order, so the result depends on no thread count.
#pragma once

#include <cstdint>

#include "core/dtype.h"
#include "core/parallel.h"

namespace llmcore {

constexpr int64_t kGlobalNormBlock = 8192;

struct GlobalNormTensor {
  const void* data;
  int64_t numel;
  int64_t first_block;  // sum of the blocks of the tensors before this one
  DType dtype;
};

struct GlobalNormArgs {
  const GlobalNormTensor* tensors;
  int64_t num_tensors;
  int64_t num_blocks;
  double* partials;  // (num_blocks,) scratch
  float* norm;       // one number
};

namespace cpu {

void global_norm(const GlobalNormArgs& args, const ParallelFor& parallel_for);

}  // namespace cpu

}  // namespace llmcore
