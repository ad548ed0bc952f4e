// The checks and results that the doors of rms_norm and layer_norm share.
#pragma once

#include "torch/abi.h"

namespace llmcore::door {

struct NormShape {
  int64_t rows;
  int64_t cols;
  DType dtype;
  bool is_empty() const { return rows == 0 || cols == 0; }
};

inline void check_device(const char* op, const char* argument, const Tensor& tensor,
                         const Tensor& x) {
  if (tensor.is_cuda() == x.is_cuda() && tensor.get_device_index() == x.get_device_index()) return;
  throw std::runtime_error(std::string(op) + ": " + argument + " must be on the device of x");
}

// (C,) of the dtype and the device of x.
inline void check_channels(const char* op, const char* argument, const Tensor& tensor,
                           const Tensor& x, const NormShape& shape) {
  if (tensor.dim() != 1 || tensor.size(0) != shape.cols) {
    TensorMatcher match(op);
    match("x", view_of(x, shape.dtype), {"...", "C"});
    match(argument, view_of(tensor, shape.dtype), {"C"});
  }
  TensorMatcher(op).same_dtype(argument, dtype_of(op, argument, tensor), shape.dtype);
  check_device(op, argument, tensor, x);
}

inline NormShape check_norm(const char* op, const Tensor& x, const Tensor& weight) {
  const DType dtype = dtype_of(op, "x", x);
  TensorMatcher match(op);
  match("x", view_of(x, dtype), {"...", "C"});
  const NormShape shape{match.axis("..."), match.axis("C"), dtype};
  check_channels(op, "weight", weight, x, shape);
  return shape;
}

// The shape, dtype and device of x.
inline void check_like(const char* op, const char* argument, const Tensor& tensor, const Tensor& x,
                       DType dtype) {
  bool same = tensor.dim() == x.dim();
  for (int64_t i = 0; same && i < x.dim(); ++i) same = tensor.size(i) == x.size(i);
  if (!same) {
    std::string expected, got;
    for (int64_t i = 0; i < x.dim(); ++i) expected += (i ? ", " : "") + std::to_string(x.size(i));
    for (int64_t i = 0; i < tensor.dim(); ++i)
      got += (i ? ", " : "") + std::to_string(tensor.size(i));
    throw std::runtime_error(std::string(op) + ": " + argument + " must be (" + expected +
                             ") as x is, got (" + got + ")");
  }
  TensorMatcher(op).same_dtype(argument, dtype_of(op, argument, tensor), dtype);
  check_device(op, argument, tensor, x);
}

inline Tensor new_floats(const Tensor& like, int64_t count) {
  return torch::stable::new_empty(like, {&count, 1}, torch::headeronly::ScalarType::Float);
}

// What stands for an absent tensor in a schema.
inline Tensor new_none(const Tensor& like) {
  const int64_t none = 0;
  return torch::stable::new_empty(like, {&none, 1});
}

}  // namespace llmcore::door
