// Schemas, checks and the CPU implementations of swiglu, geglu, gelu, relu2 and their gradients.
#include "ops/activation.h"

#include <optional>
#include <tuple>

#include "torch/abi.h"

#ifndef LLMCORE_CUDA_LIBRARY

namespace llmcore::door {

namespace {

// The elements from one row to the next, where the leading axes lie like one axis and the last is
// contiguous.
std::optional<int64_t> row_stride(const Tensor& tensor) {
  const auto sizes = tensor.sizes(), strides = tensor.strides();
  const int64_t rank = tensor.dim();
  const int64_t cols = rank == 0 ? 1 : sizes[rank - 1];
  if (rank > 0 && cols > 1 && strides[rank - 1] != 1) return std::nullopt;
  std::optional<int64_t> row;
  int64_t count = 1;  // rows inside the axes seen so far
  for (int64_t axis = rank - 2; axis >= 0; --axis) {
    if (sizes[axis] == 1) continue;
    if (row.has_value() && strides[axis] != count * *row) return std::nullopt;
    if (!row.has_value()) row = strides[axis];
    count *= sizes[axis];
  }
  return row.value_or(cols);
}

// A tensor whose rows a kernel can walk, packed if it must be.
struct Rows {
  explicit Rows(const Tensor& any) : tensor(any) {
    const std::optional<int64_t> found = row_stride(any);
    if (!found.has_value()) tensor = packed(any);
    input = {tensor.const_data_ptr(), found.value_or(any.dim() == 0 ? 1 : any.size(-1))};
  }
  Tensor tensor;
  ActivationInput input{};
};

struct Shape {
  int64_t rows;
  int64_t cols;
  DType dtype;
};

Shape shape_of(const char* op, const char* argument, const Tensor& x) {
  const int64_t cols = x.dim() == 0 ? 1 : x.size(-1);
  return {cols == 0 ? 0 : x.numel() / cols, cols, dtype_of(op, argument, x)};
}

std::string sizes_of(const Tensor& tensor) {
  std::string text = "(";
  for (int64_t axis = 0; axis < tensor.dim(); ++axis) {
    text += (axis > 0 ? ", " : "") + std::to_string(tensor.size(axis));
  }
  return text + (tensor.dim() == 1 ? ",)" : ")");
}

void check_like(const char* op, const char* argument, const Tensor& tensor, const Tensor& x) {
  const DType dtype = dtype_of(op, "x", x);
  TensorMatcher(op).same_dtype(argument, dtype_of(op, argument, tensor), dtype);
  bool same = tensor.dim() == x.dim();
  for (int64_t axis = 0; same && axis < x.dim(); ++axis) same = tensor.size(axis) == x.size(axis);
  if (same) return;
  throw std::runtime_error(std::string(op) + ": " + argument + " must be " + sizes_of(x) +
                           ", got " + sizes_of(tensor));
}

Tensor gated(const char* op, Activation function, const Tensor& gate, const Tensor& up) {
  const Shape shape = shape_of(op, "gate", gate);
  check_like(op, "up", up, gate);
  Tensor y = new_result(gate);
  if (shape.rows == 0) return y;
  const Rows gate_rows(gate), up_rows(up);
  cpu::activation({.x = gate_rows.input,
                   .up = up_rows.input,
                   .y = y.mutable_data_ptr(),
                   .rows = shape.rows,
                   .cols = shape.cols,
                   .function = function,
                   .dtype = shape.dtype},
                  torch_threads());
  return y;
}

std::tuple<Tensor, Tensor> gated_backward(const char* op, Activation function, const Tensor& dy,
                                          const Tensor& gate, const Tensor& up) {
  const Shape shape = shape_of(op, "gate", gate);
  check_like(op, "up", up, gate);
  check_like(op, "dy", dy, gate);
  Tensor dgate = new_result(gate), dup = new_result(up);
  if (shape.rows == 0) return {dgate, dup};
  const Rows dy_rows(dy), gate_rows(gate), up_rows(up);
  cpu::activation_backward({.dy = dy_rows.input,
                            .x = gate_rows.input,
                            .up = up_rows.input,
                            .dx = dgate.mutable_data_ptr(),
                            .dup = dup.mutable_data_ptr(),
                            .rows = shape.rows,
                            .cols = shape.cols,
                            .function = function,
                            .dtype = shape.dtype},
                           torch_threads());
  return {dgate, dup};
}

Tensor alone(const char* op, Activation function, const Tensor& x) {
  const Shape shape = shape_of(op, "x", x);
  Tensor y = new_result(x);
  if (shape.rows == 0) return y;
  const Rows x_rows(x);
  cpu::activation({.x = x_rows.input,
                   .up = {},
                   .y = y.mutable_data_ptr(),
                   .rows = shape.rows,
                   .cols = shape.cols,
                   .function = function,
                   .dtype = shape.dtype},
                  torch_threads());
  return y;
}

Tensor alone_backward(const char* op, Activation function, const Tensor& dy, const Tensor& x) {
  const Shape shape = shape_of(op, "x", x);
  check_like(op, "dy", dy, x);
  Tensor dx = new_result(x);
  if (shape.rows == 0) return dx;
  const Rows dy_rows(dy), x_rows(x);
  cpu::activation_backward({.dy = dy_rows.input,
                            .x = x_rows.input,
                            .up = {},
                            .dx = dx.mutable_data_ptr(),
                            .dup = nullptr,
                            .rows = shape.rows,
                            .cols = shape.cols,
                            .function = function,
                            .dtype = shape.dtype},
                           torch_threads());
  return dx;
}

Activation gelu_of(bool tanh) {
  return tanh ? Activation::kGeluTanh : Activation::kGelu;
}

Tensor swiglu(const Tensor& gate, const Tensor& up) {
  return gated("swiglu", Activation::kSilu, gate, up);
}
std::tuple<Tensor, Tensor> swiglu_backward(const Tensor& dy, const Tensor& gate, const Tensor& up) {
  return gated_backward("swiglu", Activation::kSilu, dy, gate, up);
}
Tensor geglu(const Tensor& gate, const Tensor& up, bool tanh) {
  return gated("geglu", gelu_of(tanh), gate, up);
}
std::tuple<Tensor, Tensor> geglu_backward(const Tensor& dy, const Tensor& gate, const Tensor& up,
                                          bool tanh) {
  return gated_backward("geglu", gelu_of(tanh), dy, gate, up);
}
Tensor gelu(const Tensor& x, bool tanh) {
  return alone("gelu", gelu_of(tanh), x);
}
Tensor gelu_backward(const Tensor& dy, const Tensor& x, bool tanh) {
  return alone_backward("gelu", gelu_of(tanh), dy, x);
}
Tensor relu2(const Tensor& x) {
  return alone("relu2", Activation::kRelu2, x);
}
Tensor relu2_backward(const Tensor& dy, const Tensor& x) {
  return alone_backward("relu2", Activation::kRelu2, dy, x);
}

}  // namespace

STABLE_TORCH_LIBRARY_FRAGMENT(llmcore, m) {
  // The `_no_grad` form skips the Python autograd layer.
  m.def("swiglu(Tensor gate, Tensor up) -> Tensor");
  m.def("swiglu_no_grad(Tensor gate, Tensor up) -> Tensor");
  m.def("swiglu_backward(Tensor dy, Tensor gate, Tensor up) -> (Tensor, Tensor)");
  m.def("geglu(Tensor gate, Tensor up, bool tanh) -> Tensor");
  m.def("geglu_no_grad(Tensor gate, Tensor up, bool tanh) -> Tensor");
  m.def("geglu_backward(Tensor dy, Tensor gate, Tensor up, bool tanh) -> (Tensor, Tensor)");
  m.def("gelu(Tensor x, bool tanh) -> Tensor");
  m.def("gelu_no_grad(Tensor x, bool tanh) -> Tensor");
  m.def("gelu_backward(Tensor dy, Tensor x, bool tanh) -> Tensor");
  m.def("relu2(Tensor x) -> Tensor");
  m.def("relu2_no_grad(Tensor x) -> Tensor");
  m.def("relu2_backward(Tensor dy, Tensor x) -> Tensor");
}

STABLE_TORCH_LIBRARY_IMPL(llmcore, CPU, m) {
  m.impl("swiglu", TORCH_BOX(&swiglu));
  m.impl("swiglu_no_grad", TORCH_BOX(&swiglu));
  m.impl("swiglu_backward", TORCH_BOX(&swiglu_backward));
  m.impl("geglu", TORCH_BOX(&geglu));
  m.impl("geglu_no_grad", TORCH_BOX(&geglu));
  m.impl("geglu_backward", TORCH_BOX(&geglu_backward));
  m.impl("gelu", TORCH_BOX(&gelu));
  m.impl("gelu_no_grad", TORCH_BOX(&gelu));
  m.impl("gelu_backward", TORCH_BOX(&gelu_backward));
  m.impl("relu2", TORCH_BOX(&relu2));
  m.impl("relu2_no_grad", TORCH_BOX(&relu2));
  m.impl("relu2_backward", TORCH_BOX(&relu2_backward));
}

}  // namespace llmcore::door

#endif
