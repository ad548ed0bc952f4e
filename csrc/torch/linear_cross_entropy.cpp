// Schema, checks and the CPU implementation of linear_cross_entropy. On CUDA the Python door calls
// PyTorch.
#include "ops/linear_cross_entropy.h"

#ifndef LLMCORE_CUDA_LIBRARY

#include <tuple>

#include "cpu/linear_cross_entropy_plan.h"
#include "cpu/tuning.h"
#include "torch/abi.h"
#include "torch/cross_entropy_door.h"

namespace llmcore::door {

namespace {

using torch::headeronly::ScalarType;

constexpr const char* kOp = "linear_cross_entropy";

[[noreturn]] void fail(const char* argument, const char* expected) {
  throw std::runtime_error(std::string(kOp) + ": " + argument + " must be " + expected +
                           ", got another");
}

void check_model(TensorMatcher& match, const Tensor& hidden, const Tensor& weight,
                 const Tensor& bias, DType dtype) {
  if (dtype == DType::kFloat16) fail("hidden", "float32 or bfloat16");
  match("hidden", view_of(hidden, dtype), {"N", "C"});
  match("weight", view_of(weight, dtype), {"V", "C"});
  match.same_dtype("weight", dtype_of(kOp, "weight", weight), dtype);
  if (bias.numel() > 0) match("bias", view_of(bias, dtype), {"V"});
  match.same_dtype("bias", dtype_of(kOp, "bias", bias), dtype);
}

Tensor new_floats(const Tensor& like, int64_t count) {
  return torch::stable::new_empty(like, {&count, 1}, ScalarType::Float);
}

// The result where it is wanted, else nothing.
Tensor result_like(const Tensor& tensor, bool is_wanted) {
  if (is_wanted) return new_result(tensor);
  const int64_t none = 0;
  return torch::stable::new_empty(tensor, {&none, 1});
}

Tensor zeroed(Tensor tensor) {
  return torch::stable::zero_(tensor);
}

std::tuple<Tensor, Tensor, Tensor, Tensor> linear_cross_entropy(
    const Tensor& hidden_any, const Tensor& weight_any, const Tensor& labels_any,
    const Tensor& bias_any, const Tensor& dlosses_any, int64_t ignore_index, double label_smoothing,
    double z_loss, double softcap, bool dhidden_wanted, bool dweight_wanted, bool dbias_wanted) {
  check_options(kOp, {ignore_index, label_smoothing, z_loss, softcap});
  const DType dtype = dtype_of(kOp, "hidden", hidden_any);
  TensorMatcher match(kOp);
  check_model(match, hidden_any, weight_any, bias_any, dtype);
  check_per_token(match, kOp, "labels", labels_any, ScalarType::Long, "int64");
  const bool has_gradient = dhidden_wanted || dweight_wanted || dbias_wanted;
  if (has_gradient) {
    check_per_token(match, kOp, "dlosses", dlosses_any, ScalarType::Float, "float32");
  }
  for (const Tensor* tensor : {&hidden_any, &weight_any, &labels_any, &bias_any, &dlosses_any}) {
    if (!tensor->is_cpu()) throw std::runtime_error("linear_cross_entropy: not all on the CPU");
  }
  const Tensor hidden = packed(hidden_any), weight = packed(weight_any),
               labels = packed(labels_any), bias = packed(bias_any), dlosses = packed(dlosses_any);
  const int64_t rows = match.axis("N"), width = match.axis("C"), vocab = match.axis("V");
  check_labels(kOp, labels, vocab, ignore_index);
  Tensor losses = new_floats(hidden, rows);
  Tensor dhidden = result_like(hidden, dhidden_wanted);
  Tensor dweight = result_like(weight, dweight_wanted);
  Tensor dbias = zeroed(new_floats(hidden, dbias_wanted ? vocab : 0));
  if (rows == 0) return {losses, dhidden, zeroed(dweight), dbias};
  const cpu::LcePlan plan = cpu::lce_plan(rows, width, vocab);
  const int64_t scratch_bytes = cpu::lce_layout(plan, dtype).total;
  const Tensor scratch =
      on_huge_pages(torch::stable::new_empty(hidden, {&scratch_bytes, 1}, ScalarType::Byte));
  cpu::linear_cross_entropy(
      {.hidden = hidden.const_data_ptr(),
       .weight = weight.const_data_ptr(),
       .bias = bias.numel() > 0 ? bias.const_data_ptr() : nullptr,
       .labels = static_cast<const int64_t*>(labels.const_data_ptr()),
       .dlosses = has_gradient ? static_cast<const float*>(dlosses.const_data_ptr()) : nullptr,
       .losses = static_cast<float*>(losses.mutable_data_ptr()),
       .dhidden = dhidden_wanted ? dhidden.mutable_data_ptr() : nullptr,
       .dweight = dweight_wanted ? dweight.mutable_data_ptr() : nullptr,
       .dbias = dbias_wanted ? static_cast<float*>(dbias.mutable_data_ptr()) : nullptr,
       .scratch = scratch.mutable_data_ptr(),
       .rows = rows,
       .width = width,
       .vocab_size = vocab,
       .ignore_index = ignore_index,
       .label_smoothing = static_cast<float>(label_smoothing),
       .z_loss = static_cast<float>(z_loss),
       .softcap = static_cast<float>(softcap),
       .dtype = dtype,
       .bfloat16_dot = cpu::prefers_bfloat16_dot()},
      torch_threads());
  return {losses, dhidden, dweight, dbias};
}

}  // namespace

STABLE_TORCH_LIBRARY_FRAGMENT(llmcore, m) {
  // Losses, and the wanted gradients of hidden, weight and bias (float32) for upstream `dlosses`;
  // those not wanted, an absent bias and dlosses where nothing is wanted are empty.
  m.def(
      "linear_cross_entropy_with_gradients(Tensor hidden, Tensor weight, Tensor labels, "
      "Tensor bias, Tensor dlosses, int ignore_index, float label_smoothing, float z_loss, "
      "float softcap, bool dhidden_wanted, bool dweight_wanted, bool dbias_wanted)"
      " -> (Tensor, Tensor, Tensor, Tensor)");
}

STABLE_TORCH_LIBRARY_IMPL(llmcore, CPU, m) {
  m.impl("linear_cross_entropy_with_gradients", TORCH_BOX(&linear_cross_entropy));
}

}  // namespace llmcore::door

#endif  // LLMCORE_CUDA_LIBRARY
