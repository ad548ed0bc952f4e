// Cross-entropy of each row of logits with its label, and its gradient.
//
//   z_v    = softcap tanh(x_v / softcap), or x_v where softcap is 0       (Gemma 2,
//   arXiv:2408.00118) lse    = log sum_v exp z_v loss   = lse - (1 - e) z_label - (e / V) sum_v z_v
//   + z_loss lse^2
//            e: label smoothing (Szegedy et al. 2015, arXiv:1512.00567, section 7)
//            z_loss: PaLM's auxiliary loss (Chowdhery et al. 2022, arXiv:2204.02311, section 5)
//
//   dx_v   = dloss ((1 + 2 z_loss lse) exp(z_v - lse) - e / V - (1 - e) [v = label])
//            (1 - (z_v / softcap)^2)
//
// Where the label is `ignore_index`, the loss is 0 and so is the gradient, whatever the row holds.
// A row without one finite logit and a row with a NaN give NaN; a logit of -infinity has p = 0.
//
// The forward reads the logits once and keeps lse, the backward reads them once and writes once. A
// row is reduced in float32 in one order that depends on V alone, and in double over its lanes.
#pragma once

#include <cstdint>

#include "core/dtype.h"
#include "core/parallel.h"

namespace llmcore {

struct CrossEntropyArgs {
  const void* logits;  // (N, V), `row_stride` elements from row to row
  const int64_t* labels;
  float* losses;  // (N,)
  float* lse;     // (N,)
  int64_t rows;
  int64_t cols;
  int64_t row_stride;
  int64_t ignore_index;
  float label_smoothing;
  float z_loss;
  float softcap;
  DType dtype;
};

// The columns may be a slice [first_col, first_col + cols) of a vocabulary of `vocab_size`.
struct CrossEntropyBackwardArgs {
  const float* dlosses;  // (N,)
  const void* logits;
  const int64_t* labels;
  const float* lse;
  void* dlogits;  // contiguous (N, cols), or the logits themselves
  int64_t rows;
  int64_t cols;
  int64_t row_stride;
  int64_t out_stride;
  int64_t first_col;
  int64_t vocab_size;
  int64_t ignore_index;
  float label_smoothing;
  float z_loss;
  float softcap;
  DType dtype;
};

namespace cpu {

void cross_entropy(const CrossEntropyArgs& args, const ParallelFor& parallel_for);
void cross_entropy_backward(const CrossEntropyBackwardArgs& args, const ParallelFor& parallel_for);

}  // namespace cpu

}  // namespace llmcore
