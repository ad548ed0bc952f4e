// Schema, checks and the CPU implementation of linear over packed weights.
#include "ops/linear.h"

#include "cpu/linear_plan.h"
#include "cpu/tuning.h"
#include "torch/abi.h"

#ifndef LLMCORE_CUDA_LIBRARY

namespace llmcore::door {

namespace {

constexpr const char* kOp = "linear";
using torch::headeronly::ScalarType;

std::string shape_text(std::initializer_list<int64_t> sizes) {
  std::string text = "(";
  for (int64_t size : sizes) text += std::to_string(size) + ", ";
  text.resize(text.size() - 2);
  return text + ")";
}

[[noreturn]] void fail(const std::string& argument, const std::string& expected,
                       const std::string& got) {
  throw std::runtime_error(std::string(kOp) + ": " + argument + " must be " + expected + ", got " +
                           got);
}

void check_shape(const char* argument, const Tensor& tensor, std::initializer_list<int64_t> sizes) {
  bool fits = tensor.dim() == static_cast<int64_t>(sizes.size());
  for (int64_t axis = 0; fits && axis < tensor.dim(); ++axis) {
    fits = tensor.size(axis) == sizes.begin()[axis];
  }
  if (fits) return;
  std::string got = "(";
  for (int64_t axis = 0; axis < tensor.dim(); ++axis) {
    got += (axis > 0 ? ", " : "") + std::to_string(tensor.size(axis));
  }
  fail(argument, shape_text(sizes), got + ")");
}

WeightFormat format_of(const Tensor& data) {
  switch (data.scalar_type()) {
    case ScalarType::Float:
      return WeightFormat::kFloat32;
    case ScalarType::BFloat16:
      return WeightFormat::kBFloat16;
    case ScalarType::Char:
      return WeightFormat::kInt8;
    case ScalarType::Int:
      return WeightFormat::kInt4;
    default:
      fail("data", "float32, bfloat16, int8 or int32", "another dtype");
  }
}

void check_data(const Tensor& data, WeightFormat format, int64_t in_size, int64_t out_size) {
  const int64_t panels = linear_num_panels(out_size), steps = linear_num_steps(format, in_size);
  if (format == WeightFormat::kBFloat16 || format == WeightFormat::kInt8) {
    check_shape("data", data, {panels, steps, kPanelWidth, 2});
  } else {
    check_shape("data", data, {panels, steps, kPanelWidth});
  }
}

void check_scales(const Tensor& scales, WeightFormat format, int64_t in_size, int64_t out_size,
                  int64_t group_size) {
  if (!linear_is_quantised(format)) {
    if (scales.numel() != 0) fail("scales", "empty for float weights", "some");
    if (group_size != 0) fail("group_size", "0 for float weights", std::to_string(group_size));
    return;
  }
  const bool whole = group_size == 0 && format == WeightFormat::kInt8;
  if (!whole && group_size != 32 && group_size != 64 && group_size != 128) {
    fail("group_size", "32, 64 or 128, or 0 for int8", std::to_string(group_size));
  }
  if (scales.scalar_type() != ScalarType::BFloat16) fail("scales", "bfloat16", "another dtype");
  check_shape("scales", scales,
              {linear_num_panels(out_size), linear_num_groups(in_size, group_size), kPanelWidth});
}

// dtype of x, after all checks of the call.
DType check(const Tensor& x, const Tensor& data, const Tensor& scales, const Tensor& bias,
            int64_t out_size, int64_t group_size) {
  const DType dtype = dtype_of(kOp, "x", x);
  if (dtype == DType::kFloat16) fail("x", "float32 or bfloat16", "float16");
  if (x.dim() < 1) fail("x", "(..., I)", "()");
  if (out_size < 0 || out_size > (int64_t{1} << 40)) {
    fail("out_size", "at least 0", std::to_string(out_size));
  }
  for (const Tensor* tensor : {&x, &data, &scales, &bias}) {
    if (!tensor->is_cpu()) throw std::runtime_error("linear: every tensor must be on the CPU");
  }
  const int64_t in_size = x.size(x.dim() - 1);
  const WeightFormat format = format_of(data);
  check_data(data, format, in_size, out_size);
  check_scales(scales, format, in_size, out_size, group_size);
  if (bias.numel() > 0 || out_size == 0) {
    if (bias.numel() > 0 || bias.dim() != 1) check_shape("bias", bias, {out_size});
    if (dtype_of(kOp, "bias", bias) != dtype) fail("bias", dtype_name(dtype), "another dtype");
  }
  return dtype;
}

Tensor linear(const Tensor& x_any, const Tensor& data_any, const Tensor& scales_any,
              const Tensor& bias_any, int64_t out_size, int64_t group_size) {
  const DType dtype = check(x_any, data_any, scales_any, bias_any, out_size, group_size);
  const Tensor x = packed(x_any), data = packed(data_any), scales = packed(scales_any),
               bias = packed(bias_any);
  const int64_t in_size = x.size(x.dim() - 1);
  std::vector<int64_t> sizes(x.sizes().begin(), x.sizes().end());
  sizes.back() = out_size;
  Tensor y = torch::stable::new_empty(x, sizes);
  if (y.numel() == 0) return y;
  const int64_t rows = y.numel() / out_size;
  const int64_t scratch_bytes = cpu::linear_scratch_bytes(rows, in_size);
  Tensor scratch = y;
  if (scratch_bytes > 0) {
    const int64_t size[1] = {scratch_bytes};
    scratch = torch::stable::new_empty(x, {size, 1}, ScalarType::Byte);
  }
  cpu::linear({.x = x.const_data_ptr(),
               .weight = {.data = data.const_data_ptr(),
                          .scales = scales.numel() == 0
                                        ? nullptr
                                        : static_cast<const uint16_t*>(scales.const_data_ptr()),
                          .in_size = in_size,
                          .out_size = out_size,
                          .group_size = group_size,
                          .format = format_of(data)},
               .bias = bias.numel() == 0 ? nullptr : bias.const_data_ptr(),
               .y = y.mutable_data_ptr(),
               .scratch = scratch_bytes > 0 ? scratch.mutable_data_ptr() : nullptr,
               .rows = rows,
               .dtype = dtype,
               .bfloat16_dot = cpu::prefers_bfloat16_dot()},
              torch_threads());
  return y;
}

}  // namespace

STABLE_TORCH_LIBRARY_FRAGMENT(llmcore, m) {
  m.def(
      "linear(Tensor x, Tensor data, Tensor scales, Tensor bias, int out_size, int group_size)"
      " -> Tensor");
}

STABLE_TORCH_LIBRARY_IMPL(llmcore, CPU, m) {
  m.impl("linear", TORCH_BOX(&linear));
}

}  // namespace llmcore::door

#endif  // LLMCORE_CUDA_LIBRARY
