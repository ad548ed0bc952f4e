// Feed-forward activations f, alone or gating a second projection, and their gradients.
//
//   y_i = f(x_i)              dx_i = dy_i f'(x_i)
//   y_i = f(x_i) up_i         dx_i = dy_i up_i f'(x_i)        dup_i = dy_i f(x_i)
//
//   kSilu      x s(x), s the logistic function     f' = s + x s (1 - s)
//   kGelu      x Phi(x), the normal cdf            f' = Phi + x phi
//   kGeluTanh  x s(2u), u = sqrt(2/pi) (x + 0.044715 x^3), which is x (1 + tanh u) / 2
//   kRelu2     max(x, 0)^2                         f' = 2 max(x, 0)
//
// Shazeer 2020, arXiv:2002.05202; Hendrycks & Gimpel 2016, arXiv:1606.08415; So et al. 2021,
// arXiv:2109.08668. All arithmetic is float32 and each element is rounded once, to the dtype.
#pragma once

#include <cstdint>

#include "core/dtype.h"
#include "core/parallel.h"

namespace llmcore {

enum class Activation : uint8_t { kSilu, kGelu, kGeluTanh, kRelu2 };

// `rows` rows of `cols` contiguous elements, `row` elements from one to the next.
struct ActivationInput {
  const void* data;
  int64_t row;
};

// Results are packed.
struct ActivationArgs {
  ActivationInput x;
  ActivationInput up;  // data is null without a gate
  void* y;
  int64_t rows;
  int64_t cols;
  Activation function;
  DType dtype;
};

struct ActivationBackwardArgs {
  ActivationInput dy;
  ActivationInput x;
  ActivationInput up;
  void* dx;
  void* dup;
  int64_t rows;
  int64_t cols;
  Activation function;
  DType dtype;
};

namespace cpu {

void activation(const ActivationArgs& args, const ParallelFor& parallel_for);
void activation_backward(const ActivationBackwardArgs& args, const ParallelFor& parallel_for);

}  // namespace cpu

}  // namespace llmcore
