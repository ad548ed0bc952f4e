// Schemas, checks and the implementations of rms_norm (CPU, CUDA) and add_rms_norm (CPU), with
// their backwards.
#include "ops/rms_norm.h"

#include <tuple>

#include "torch/abi.h"
#include "torch/norm_door.h"

#ifdef LLMCORE_CUDA_LIBRARY
#include <torch/csrc/stable/accelerator.h>

#include "torch/cuda_stream.h"
#endif

namespace llmcore::door {

namespace {

void check_rms_cols(const char* op, int64_t rms_cols, int64_t cols) {
  if (rms_cols == -1 || (rms_cols >= 1 && rms_cols <= cols)) return;
  throw std::runtime_error(std::string(op) + ": rms_cols must be -1 or in [1, " +
                           std::to_string(cols) + "], got " + std::to_string(rms_cols));
}

#ifdef LLMCORE_CUDA_LIBRARY

void run_forward(const RmsNormArgs& args, const Tensor& x) {
  cuda::rms_norm_cuda(args, current_cuda_stream(x.get_device_index()));
}
void run_backward(const RmsNormBackwardArgs& args, const Tensor& x) {
  cuda::rms_norm_backward_cuda(args, current_cuda_stream(x.get_device_index()));
}
int64_t num_partials(const NormShape& shape) {
  return cuda::rms_norm_num_partials(shape.rows, shape.cols, shape.dtype);
}
int64_t partial_cols(const NormShape& shape) {
  return shape.cols;
}
// The Python door calls PyTorch's kernels for the variants that the CUDA kernels do not have.
void check_variant(double offset, int64_t rms_cols, int64_t cols) {
  if (offset == 0.0 && (rms_cols == -1 || rms_cols == cols)) return;
  throw std::runtime_error("rms_norm: offset must be 0 and rms_cols -1 on CUDA, got " +
                           std::to_string(offset) + " and " + std::to_string(rms_cols));
}
using Guard = torch::stable::accelerator::DeviceGuard;

#else

void run_forward(const RmsNormArgs& args, const Tensor&) {
  cpu::rms_norm(args, torch_threads());
}
void run_backward(const RmsNormBackwardArgs& args, const Tensor&) {
  cpu::rms_norm_backward(args, torch_threads());
}
int64_t num_partials(const NormShape& shape) {
  return cpu::norm_num_partials(shape.rows);
}
int64_t partial_cols(const NormShape& shape) {
  return cpu::norm_padded_cols(shape.cols);
}
void check_variant(double, int64_t, int64_t) {}
struct Guard {
  explicit Guard(int) {}
};

#endif

Tensor rms_norm(const Tensor& x_any, const Tensor& weight_any, double eps, double offset,
                int64_t rms_cols) {
  const NormShape shape = check_norm("rms_norm", x_any, weight_any);
  const Tensor x = packed(x_any), weight = packed(weight_any);
  Tensor y = new_result(x);
  if (shape.is_empty()) return y;
  check_rms_cols("rms_norm", rms_cols, shape.cols);
  check_variant(offset, rms_cols, shape.cols);
  [[maybe_unused]] const Guard guard(x.get_device_index());
  run_forward({.x = x.const_data_ptr(),
               .weight = weight.const_data_ptr(),
               .y = y.mutable_data_ptr(),
               .rows = shape.rows,
               .cols = shape.cols,
               .eps = static_cast<float>(eps),
               .dtype = shape.dtype,
               .offset = static_cast<float>(offset),
               .rms_cols = rms_cols},
              x);
  return y;
}

std::tuple<Tensor, Tensor> rms_norm_backward(const Tensor& dy_any, const Tensor& x_any,
                                             const Tensor& weight_any, double eps, double offset,
                                             int64_t rms_cols) {
  const NormShape shape = check_norm("rms_norm", x_any, weight_any);
  check_like("rms_norm", "dy", dy_any, x_any, shape.dtype);
  const Tensor dy = packed(dy_any), x = packed(x_any), weight = packed(weight_any);
  Tensor dx = new_result(x);
  Tensor dweight = torch::stable::new_empty(weight, weight.sizes());
  if (shape.is_empty()) {
    torch::stable::zero_(dweight);
    return {dx, dweight};
  }
  check_rms_cols("rms_norm", rms_cols, shape.cols);
  check_variant(offset, rms_cols, shape.cols);
  [[maybe_unused]] const Guard guard(x.get_device_index());
  const int64_t count = num_partials(shape);
  Tensor partials = new_floats(x, count * partial_cols(shape));
  run_backward({.dy = dy.const_data_ptr(),
                .x = x.const_data_ptr(),
                .weight = weight.const_data_ptr(),
                .dx = dx.mutable_data_ptr(),
                .dweight = dweight.mutable_data_ptr(),
                .partials = static_cast<float*>(partials.mutable_data_ptr()),
                .num_partials = count,
                .rows = shape.rows,
                .cols = shape.cols,
                .eps = static_cast<float>(eps),
                .dtype = shape.dtype,
                .offset = static_cast<float>(offset),
                .rms_cols = rms_cols},
               x);
  return {dx, dweight};
}

#ifndef LLMCORE_CUDA_LIBRARY

std::tuple<Tensor, Tensor> add_rms_norm(const Tensor& x_any, const Tensor& residual_any,
                                        const Tensor& weight_any, double eps, double residual_scale,
                                        double offset) {
  const NormShape shape = check_norm("add_rms_norm", x_any, weight_any);
  check_like("add_rms_norm", "residual", residual_any, x_any, shape.dtype);
  const Tensor x = packed(x_any), residual = packed(residual_any), weight = packed(weight_any);
  Tensor y = new_result(x), h = new_result(x);
  if (shape.is_empty()) return {y, h};
  run_forward({.x = x.const_data_ptr(),
               .weight = weight.const_data_ptr(),
               .y = y.mutable_data_ptr(),
               .rows = shape.rows,
               .cols = shape.cols,
               .eps = static_cast<float>(eps),
               .dtype = shape.dtype,
               .offset = static_cast<float>(offset),
               .residual = residual.const_data_ptr(),
               .h = h.mutable_data_ptr(),
               .residual_scale = static_cast<float>(residual_scale)},
              x);
  return {y, h};
}

// An empty dh stands for zero; dresidual is empty where residual_scale is 1, for it is dx then.
std::tuple<Tensor, Tensor, Tensor> add_rms_norm_backward(const Tensor& dy_any, const Tensor& dh_any,
                                                         const Tensor& h_any,
                                                         const Tensor& weight_any, double eps,
                                                         double residual_scale, double offset) {
  const NormShape shape = check_norm("add_rms_norm", h_any, weight_any);
  check_like("add_rms_norm", "dy", dy_any, h_any, shape.dtype);
  const bool has_dh = dh_any.numel() != 0;
  if (has_dh) check_like("add_rms_norm", "dh", dh_any, h_any, shape.dtype);
  const Tensor dy = packed(dy_any), h = packed(h_any), weight = packed(weight_any);
  const Tensor dh = has_dh ? packed(dh_any) : dh_any;
  Tensor dx = new_result(h);
  Tensor dresidual = residual_scale == 1.0 ? new_none(h) : new_result(h);
  Tensor dweight = torch::stable::new_empty(weight, weight.sizes());
  if (shape.is_empty()) {
    torch::stable::zero_(dweight);
    return {dx, dresidual, dweight};
  }
  const int64_t count = num_partials(shape);
  Tensor partials = new_floats(h, count * partial_cols(shape));
  run_backward({.dy = dy.const_data_ptr(),
                .x = h.const_data_ptr(),
                .weight = weight.const_data_ptr(),
                .dx = dx.mutable_data_ptr(),
                .dweight = dweight.mutable_data_ptr(),
                .partials = static_cast<float*>(partials.mutable_data_ptr()),
                .num_partials = count,
                .rows = shape.rows,
                .cols = shape.cols,
                .eps = static_cast<float>(eps),
                .dtype = shape.dtype,
                .offset = static_cast<float>(offset),
                .dh = has_dh ? dh.const_data_ptr() : nullptr,
                .dresidual = residual_scale == 1.0 ? nullptr : dresidual.mutable_data_ptr(),
                .residual_scale = static_cast<float>(residual_scale)},
               h);
  return {dx, dresidual, dweight};
}

#endif

}  // namespace

#ifdef LLMCORE_CUDA_LIBRARY
STABLE_TORCH_LIBRARY_IMPL(llmcore, CUDA, m) {
#else
// The `_no_grad` schemas skip the autograd layer.
STABLE_TORCH_LIBRARY_FRAGMENT(llmcore, m) {
  m.def(
      "rms_norm(Tensor x, Tensor weight, float eps, float offset=0.0, int rms_cols=-1) -> Tensor");
  m.def(
      "rms_norm_no_grad(Tensor x, Tensor weight, float eps, float offset=0.0, int rms_cols=-1) -> "
      "Tensor");
  m.def(
      "rms_norm_backward(Tensor dy, Tensor x, Tensor weight, float eps, float offset=0.0, int "
      "rms_cols=-1) -> (Tensor, Tensor)");
  m.def(
      "add_rms_norm(Tensor x, Tensor residual, Tensor weight, float eps, float residual_scale, "
      "float offset) -> (Tensor, Tensor)");
  m.def(
      "add_rms_norm_no_grad(Tensor x, Tensor residual, Tensor weight, float eps, float "
      "residual_scale, float offset) -> (Tensor, Tensor)");
  m.def(
      "add_rms_norm_backward(Tensor dy, Tensor dh, Tensor h, Tensor weight, float eps, float "
      "residual_scale, float offset) -> (Tensor, Tensor, Tensor)");
}

STABLE_TORCH_LIBRARY_IMPL(llmcore, CPU, m) {
  m.impl("add_rms_norm", TORCH_BOX(&add_rms_norm));
  m.impl("add_rms_norm_no_grad", TORCH_BOX(&add_rms_norm));
  m.impl("add_rms_norm_backward", TORCH_BOX(&add_rms_norm_backward));
#endif
  m.impl("rms_norm", TORCH_BOX(&rms_norm));
  m.impl("rms_norm_no_grad", TORCH_BOX(&rms_norm));
  m.impl("rms_norm_backward", TORCH_BOX(&rms_norm_backward));
}

}  // namespace llmcore::door
