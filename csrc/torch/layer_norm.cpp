// Schemas, checks and the CPU implementations of layer_norm and add_layer_norm, with their
// backwards. There is no CUDA kernel: the Python doors call PyTorch's.
#ifndef LLMCORE_CUDA_LIBRARY

#include "ops/layer_norm.h"

#include <tuple>

#include "torch/abi.h"
#include "torch/norm_door.h"

namespace llmcore::door {

namespace {

// An empty bias stands for none, except where there are no channels at all.
NormShape check(const char* op, const Tensor& x, const Tensor& weight, const Tensor& bias) {
  const NormShape shape = check_norm(op, x, weight);
  if (bias.numel() != 0) check_channels(op, "bias", bias, x, shape);
  return shape;
}

const void* data_or_null(const Tensor& tensor) {
  return tensor.numel() == 0 ? nullptr : tensor.const_data_ptr();
}

Tensor layer_norm(const Tensor& x_any, const Tensor& weight_any, const Tensor& bias_any,
                  double eps) {
  const NormShape shape = check("layer_norm", x_any, weight_any, bias_any);
  const Tensor x = packed(x_any), weight = packed(weight_any), bias = packed(bias_any);
  Tensor y = new_result(x);
  if (shape.is_empty()) return y;
  cpu::layer_norm({.x = x.const_data_ptr(),
                   .weight = weight.const_data_ptr(),
                   .bias = data_or_null(bias),
                   .y = y.mutable_data_ptr(),
                   .rows = shape.rows,
                   .cols = shape.cols,
                   .eps = static_cast<float>(eps),
                   .dtype = shape.dtype},
                  torch_threads());
  return y;
}

std::tuple<Tensor, Tensor> add_layer_norm(const Tensor& x_any, const Tensor& residual_any,
                                          const Tensor& weight_any, const Tensor& bias_any,
                                          double eps, double residual_scale) {
  const NormShape shape = check("add_layer_norm", x_any, weight_any, bias_any);
  check_like("add_layer_norm", "residual", residual_any, x_any, shape.dtype);
  const Tensor x = packed(x_any), residual = packed(residual_any);
  const Tensor weight = packed(weight_any), bias = packed(bias_any);
  Tensor y = new_result(x), h = new_result(x);
  if (shape.is_empty()) return {y, h};
  cpu::layer_norm({.x = x.const_data_ptr(),
                   .weight = weight.const_data_ptr(),
                   .bias = data_or_null(bias),
                   .y = y.mutable_data_ptr(),
                   .rows = shape.rows,
                   .cols = shape.cols,
                   .eps = static_cast<float>(eps),
                   .dtype = shape.dtype,
                   .residual = residual.const_data_ptr(),
                   .h = h.mutable_data_ptr(),
                   .residual_scale = static_cast<float>(residual_scale)},
                  torch_threads());
  return {y, h};
}

struct Gradients {
  Tensor dx, dresidual, dweight, dbias;
};

// An empty dh stands for zero; dresidual is empty where residual_scale is 1, for it is dx then, and
// dbias where it is not wanted.
Gradients backward(const char* op, const Tensor& dy_any, const Tensor* dh_any, const Tensor& h_any,
                   const Tensor& weight_any, bool with_bias, double eps, double residual_scale) {
  const NormShape shape = check_norm(op, h_any, weight_any);
  check_like(op, "dy", dy_any, h_any, shape.dtype);
  const bool has_dh = dh_any != nullptr && dh_any->numel() != 0;
  if (has_dh) check_like(op, "dh", *dh_any, h_any, shape.dtype);
  const Tensor dy = packed(dy_any), h = packed(h_any), weight = packed(weight_any);
  const Tensor dh = has_dh ? packed(*dh_any) : new_none(h);
  Gradients out{new_result(h), residual_scale == 1.0 ? new_none(h) : new_result(h),
                torch::stable::new_empty(weight, weight.sizes()),
                with_bias ? torch::stable::new_empty(weight, weight.sizes()) : new_none(h)};
  if (shape.is_empty()) {
    torch::stable::zero_(out.dweight);
    torch::stable::zero_(out.dbias);
    return out;
  }
  const int64_t count = cpu::norm_num_partials(shape.rows);
  Tensor partials = new_floats(h, count * 2 * cpu::norm_padded_cols(shape.cols));
  cpu::layer_norm_backward(
      {.dy = dy.const_data_ptr(),
       .x = h.const_data_ptr(),
       .weight = weight.const_data_ptr(),
       .dx = out.dx.mutable_data_ptr(),
       .dweight = out.dweight.mutable_data_ptr(),
       .dbias = with_bias ? out.dbias.mutable_data_ptr() : nullptr,
       .partials = static_cast<float*>(partials.mutable_data_ptr()),
       .num_partials = count,
       .rows = shape.rows,
       .cols = shape.cols,
       .eps = static_cast<float>(eps),
       .dtype = shape.dtype,
       .dh = has_dh ? dh.const_data_ptr() : nullptr,
       .dresidual = residual_scale == 1.0 ? nullptr : out.dresidual.mutable_data_ptr(),
       .residual_scale = static_cast<float>(residual_scale)},
      torch_threads());
  return out;
}

std::tuple<Tensor, Tensor, Tensor> layer_norm_backward(const Tensor& dy, const Tensor& x,
                                                       const Tensor& weight, bool with_bias,
                                                       double eps) {
  const Gradients out = backward("layer_norm", dy, nullptr, x, weight, with_bias, eps, 1.0);
  return {out.dx, out.dweight, out.dbias};
}

std::tuple<Tensor, Tensor, Tensor, Tensor> add_layer_norm_backward(
    const Tensor& dy, const Tensor& dh, const Tensor& h, const Tensor& weight, bool with_bias,
    double eps, double residual_scale) {
  const Gradients out =
      backward("add_layer_norm", dy, &dh, h, weight, with_bias, eps, residual_scale);
  return {out.dx, out.dresidual, out.dweight, out.dbias};
}

}  // namespace

// The `_no_grad` schemas skip the autograd layer; an empty bias or dh stands for none.
STABLE_TORCH_LIBRARY_FRAGMENT(llmcore, m) {
  m.def("layer_norm(Tensor x, Tensor weight, Tensor bias, float eps) -> Tensor");
  m.def("layer_norm_no_grad(Tensor x, Tensor weight, Tensor bias, float eps) -> Tensor");
  m.def(
      "layer_norm_backward(Tensor dy, Tensor x, Tensor weight, bool with_bias, float eps) -> "
      "(Tensor, Tensor, Tensor)");
  m.def(
      "add_layer_norm(Tensor x, Tensor residual, Tensor weight, Tensor bias, float eps, float "
      "residual_scale) -> (Tensor, Tensor)");
  m.def(
      "add_layer_norm_no_grad(Tensor x, Tensor residual, Tensor weight, Tensor bias, float eps, "
      "float residual_scale) -> (Tensor, Tensor)");
  m.def(
      "add_layer_norm_backward(Tensor dy, Tensor dh, Tensor h, Tensor weight, bool with_bias, "
      "float eps, float residual_scale) -> (Tensor, Tensor, Tensor, Tensor)");
}

STABLE_TORCH_LIBRARY_IMPL(llmcore, CPU, m) {
  m.impl("layer_norm", TORCH_BOX(&layer_norm));
  m.impl("layer_norm_no_grad", TORCH_BOX(&layer_norm));
  m.impl("layer_norm_backward", TORCH_BOX(&layer_norm_backward));
  m.impl("add_layer_norm", TORCH_BOX(&add_layer_norm));
  m.impl("add_layer_norm_no_grad", TORCH_BOX(&add_layer_norm));
  m.impl("add_layer_norm_backward", TORCH_BOX(&add_layer_norm_backward));
}

}  // namespace llmcore::door

#endif
