// One step of AdamW on many tensors, and the Euclidean norm over many tensors.
//
//   g <- grad_scale g
//   m <- beta1 m + (1 - beta1) g          v <- beta2 v + (1 - beta2) g^2
//   w <- (1 - lr weight_decay) w - lr / (1 - beta1^step) m / (sqrt(v / (1 - beta2^step)) + eps)
//
// Loshchilov & Hutter 2017, arXiv:1711.05101, algorithm 2. m and v are float32; w is the float32
// master where there is one, and the parameter is then its rounding. The factors of the formula
// come as float32, computed in double.
//
// norm = sqrt(sum over all tensors of x^2): squares and sums are double, in an order that depends
// on the sizes of the tensors alone.
#pragma once

#include <cstdint>

#include "core/dtype.h"
#include "core/parallel.h"

namespace llmcore {

// Elements of a tensor are worked on in blocks of this many: a thread's share is a range of blocks,
// so that many small tensors are as fast as one large one.
constexpr int64_t kAdamWBlock = 1024;

// One tensor of the lists; all pointers address `numel` elements.
struct AdamWTensor {
  void* param;       // float32, bfloat16 or float16
  const void* grad;  // of the parameter's dtype
  float* exp_avg;
  float* exp_avg_sq;
  float* master;  // null: the parameter is the weight
  int64_t numel;
  int64_t first_block;  // sum of the blocks of the tensors before this one
  DType dtype;
};

struct AdamWArgs {
  const AdamWTensor* tensors;
  int64_t num_tensors;
  int64_t num_blocks;
  float grad_scale;
  float keep;  // 1 - lr weight_decay
  float beta1;
  float grad_share;  // 1 - beta1
  float beta2;
  float square_share;  // 1 - beta2
  float root_scale;    // 1 / sqrt(1 - beta2^step)
  float step_size;     // lr / (1 - beta1^step)
  float eps;
};

namespace cpu {

void adamw(const AdamWArgs& args, const ParallelFor& parallel_for);

}  // namespace cpu

}  // namespace llmcore
