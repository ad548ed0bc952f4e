// Schema, checks and the CPU and CUDA implementations of rms_norm and rms_norm_backward.
#include "ops/rms_norm.h"

#include <tuple>

#include "torch/abi.h"

#ifdef LLMCORE_CUDA_LIBRARY
#include <torch/csrc/stable/accelerator.h>

#include "torch/cuda_stream.h"
#endif

namespace llmcore::door {

namespace {

constexpr const char* kOp = "rms_norm";

struct Shape {
  int64_t rows;
  int64_t cols;
  DType dtype;
};

Shape check(const Tensor& x, const Tensor& weight, const Tensor* dy) {
  const DType dtype = dtype_of(kOp, "x", x);
  TensorMatcher match(kOp);
  match("x", view_of(x, dtype), {"...", "C"});
  match("weight", view_of(weight, dtype), {"C"});
  match.same_dtype("weight", dtype_of(kOp, "weight", weight), dtype);
  if (weight.is_cuda() != x.is_cuda() || weight.get_device_index() != x.get_device_index()) {
    throw std::runtime_error("rms_norm: weight must be on the device of x");
  }
  if (dy != nullptr) {
    match("dy", view_of(*dy, dtype), {"...", "C"});
    match.same_dtype("dy", dtype_of(kOp, "dy", *dy), dtype);
  }
  return {match.axis("..."), match.axis("C"), dtype};
}

RmsNormArgs forward_args(const Tensor& x, const Tensor& weight, Tensor& y, const Shape& shape,
                         double eps) {
  return {.x = x.const_data_ptr(),
          .weight = weight.const_data_ptr(),
          .y = y.mutable_data_ptr(),
          .rows = shape.rows,
          .cols = shape.cols,
          .eps = static_cast<float>(eps),
          .dtype = shape.dtype};
}

#ifdef LLMCORE_CUDA_LIBRARY

void run_forward(const RmsNormArgs& args, const Tensor& x) {
  cuda::rms_norm_cuda(args, current_cuda_stream(x.get_device_index()));
}
void run_backward(const RmsNormBackwardArgs& args, const Tensor& x) {
  cuda::rms_norm_backward_cuda(args, current_cuda_stream(x.get_device_index()));
}
int64_t num_partials(const Shape& shape) {
  return cuda::rms_norm_num_partials(shape.rows, shape.cols, shape.dtype);
}
using Guard = torch::stable::accelerator::DeviceGuard;

#else

void run_forward(const RmsNormArgs& args, const Tensor&) {
  cpu::rms_norm(args, torch_threads());
}
void run_backward(const RmsNormBackwardArgs& args, const Tensor&) {
  cpu::rms_norm_backward(args, torch_threads());
}
int64_t num_partials(const Shape& shape) {
  return cpu::rms_norm_num_partials(shape.rows);
}
struct Guard {
  explicit Guard(int) {}
};

#endif

Tensor rms_norm(const Tensor& x_any, const Tensor& weight_any, double eps) {
  const Shape shape = check(x_any, weight_any, nullptr);
  const Tensor x = packed(x_any), weight = packed(weight_any);
  Tensor y = new_result(x);
  if (shape.rows == 0 || shape.cols == 0) return y;
  [[maybe_unused]] const Guard guard(x.get_device_index());
  run_forward(forward_args(x, weight, y, shape, eps), x);
  return y;
}

std::tuple<Tensor, Tensor> rms_norm_backward(const Tensor& dy_any, const Tensor& x_any,
                                             const Tensor& weight_any, double eps) {
  const Shape shape = check(x_any, weight_any, &dy_any);
  const Tensor dy = packed(dy_any), x = packed(x_any), weight = packed(weight_any);
  Tensor dx = new_result(x);
  Tensor dweight = torch::stable::new_empty(weight, weight.sizes());
  if (shape.rows == 0 || shape.cols == 0) {
    torch::stable::zero_(dweight);
    return {dx, dweight};
  }
  [[maybe_unused]] const Guard guard(x.get_device_index());
  const int64_t sizes[2] = {num_partials(shape), shape.cols};
  Tensor partials = torch::stable::new_empty(x, {sizes, 2}, torch::headeronly::ScalarType::Float);
  run_backward({.dy = dy.const_data_ptr(),
                .x = x.const_data_ptr(),
                .weight = weight.const_data_ptr(),
                .dx = dx.mutable_data_ptr(),
                .dweight = dweight.mutable_data_ptr(),
                .partials = static_cast<float*>(partials.mutable_data_ptr()),
                .num_partials = sizes[0],
                .rows = shape.rows,
                .cols = shape.cols,
                .eps = static_cast<float>(eps),
                .dtype = shape.dtype},
               x);
  return {dx, dweight};
}

}  // namespace

#ifdef LLMCORE_CUDA_LIBRARY
STABLE_TORCH_LIBRARY_IMPL(llmcore, CUDA, m) {
#else
STABLE_TORCH_LIBRARY_FRAGMENT(llmcore, m) {
  m.def("rms_norm(Tensor x, Tensor weight, float eps) -> Tensor");
  // The same without a gradient: skips the Python autograd layer, 3 us a call instead of 14.
  m.def("rms_norm_no_grad(Tensor x, Tensor weight, float eps) -> Tensor");
  m.def("rms_norm_backward(Tensor dy, Tensor x, Tensor weight, float eps) -> (Tensor, Tensor)");
}

STABLE_TORCH_LIBRARY_IMPL(llmcore, CPU, m) {
#endif
  m.impl("rms_norm", TORCH_BOX(&rms_norm));
  m.impl("rms_norm_no_grad", TORCH_BOX(&rms_norm));
  m.impl("rms_norm_backward", TORCH_BOX(&rms_norm_backward));
}

}  // namespace llmcore::door
