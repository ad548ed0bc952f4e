// Schemas, checks and the CPU implementation of cross_entropy and its gradient. On CUDA the Python
// door calls PyTorch.
#include "ops/cross_entropy.h"

#ifndef LLMCORE_CUDA_LIBRARY

#include <tuple>

#include "torch/abi.h"
#include "torch/cross_entropy_door.h"

namespace llmcore::door {

namespace {

using torch::headeronly::ScalarType;

constexpr const char* kOp = "cross_entropy";

// The kernels take any distance from row to row, but whole rows.
Tensor whole_rows(const Tensor& logits) {
  return logits.size(1) <= 1 || logits.stride(1) == 1 ? logits : torch::stable::contiguous(logits);
}

int64_t row_stride_of(const Tensor& logits) {
  return logits.size(0) <= 1 ? logits.size(1) : logits.stride(0);
}

Tensor new_rows(const Tensor& logits) {
  const int64_t rows = logits.size(0);
  return torch::stable::new_empty(logits, {&rows, 1}, ScalarType::Float);
}

std::tuple<Tensor, Tensor> cross_entropy(const Tensor& logits_any, const Tensor& labels_any,
                                         int64_t ignore_index, double label_smoothing,
                                         double z_loss, double softcap) {
  check_options(kOp, {ignore_index, label_smoothing, z_loss, softcap});
  const DType dtype = dtype_of(kOp, "logits", logits_any);
  TensorMatcher match(kOp);
  match("logits", view_of(logits_any, dtype), {"N", "V"});
  check_per_token(match, kOp, "labels", labels_any, ScalarType::Long, "int64");
  const Tensor logits = whole_rows(logits_any), labels = packed(labels_any);
  Tensor losses = new_rows(logits), lse = new_rows(logits);
  check_labels(kOp, labels, match.axis("V"), ignore_index);
  cpu::cross_entropy({.logits = logits.const_data_ptr(),
                      .labels = static_cast<const int64_t*>(labels.const_data_ptr()),
                      .losses = static_cast<float*>(losses.mutable_data_ptr()),
                      .lse = static_cast<float*>(lse.mutable_data_ptr()),
                      .rows = match.axis("N"),
                      .cols = match.axis("V"),
                      .row_stride = row_stride_of(logits),
                      .ignore_index = ignore_index,
                      .label_smoothing = static_cast<float>(label_smoothing),
                      .z_loss = static_cast<float>(z_loss),
                      .softcap = static_cast<float>(softcap),
                      .dtype = dtype},
                     torch_threads());
  return {losses, lse};
}

// Where the columns are those of a vocabulary slice, `vocab_size` is that of the whole.
struct Slice {
  int64_t first_col;
  int64_t vocab_size;
};

void write_gradient(const Tensor& dlosses_any, const Tensor& logits, const Tensor& labels_any,
                    const Tensor& lse_any, Tensor& out, const CrossEntropyOptions& options,
                    const Slice& slice) {
  check_options(kOp, options);
  const DType dtype = dtype_of(kOp, "logits", logits);
  TensorMatcher match(kOp);
  match("logits", view_of(logits, dtype), {"N", "V"});
  check_per_token(match, kOp, "labels", labels_any, ScalarType::Long, "int64");
  check_per_token(match, kOp, "lse", lse_any, ScalarType::Float, "float32");
  check_per_token(match, kOp, "dlosses", dlosses_any, ScalarType::Float, "float32");
  const int64_t cols = match.axis("V");
  if (slice.first_col < 0 || slice.vocab_size < cols || slice.first_col > slice.vocab_size - cols) {
    throw std::runtime_error(std::string(kOp) +
                             ": first_col must be a slice of the vocabulary, got " +
                             std::to_string(slice.first_col));
  }
  const Tensor labels = packed(labels_any), lse = packed(lse_any), dlosses = packed(dlosses_any);
  cpu::cross_entropy_backward({.dlosses = static_cast<const float*>(dlosses.const_data_ptr()),
                               .logits = logits.const_data_ptr(),
                               .labels = static_cast<const int64_t*>(labels.const_data_ptr()),
                               .lse = static_cast<const float*>(lse.const_data_ptr()),
                               .dlogits = out.mutable_data_ptr(),
                               .rows = match.axis("N"),
                               .cols = cols,
                               .row_stride = row_stride_of(logits),
                               .out_stride = row_stride_of(out),
                               .first_col = slice.first_col,
                               .vocab_size = slice.vocab_size,
                               .ignore_index = options.ignore_index,
                               .label_smoothing = static_cast<float>(options.label_smoothing),
                               .z_loss = static_cast<float>(options.z_loss),
                               .softcap = static_cast<float>(options.softcap),
                               .dtype = dtype},
                              torch_threads());
}

Tensor cross_entropy_backward(const Tensor& dlosses, const Tensor& logits_any, const Tensor& labels,
                              const Tensor& lse, int64_t ignore_index, double label_smoothing,
                              double z_loss, double softcap) {
  if (logits_any.dim() != 2) throw std::runtime_error("cross_entropy: logits must be (N, V)");
  const Tensor logits = whole_rows(logits_any);
  Tensor dlogits = torch::stable::new_empty(logits, logits.sizes());
  write_gradient(dlosses, logits, labels, lse, dlogits,
                 {ignore_index, label_smoothing, z_loss, softcap}, {0, logits.size(1)});
  return dlogits;
}

void cross_entropy_grad_(const Tensor& logits_any, const Tensor& labels, const Tensor& lse,
                         const Tensor& dlosses, int64_t first_col, int64_t vocab_size,
                         int64_t ignore_index, double label_smoothing, double z_loss,
                         double softcap) {
  if (logits_any.dim() != 2 || (logits_any.size(1) > 1 && logits_any.stride(1) != 1) ||
      row_stride_of(logits_any) < logits_any.size(1)) {
    throw std::runtime_error("cross_entropy: logits must be (N, V) of whole rows, got others");
  }
  Tensor logits = logits_any;
  write_gradient(dlosses, logits, labels, lse, logits,
                 {ignore_index, label_smoothing, z_loss, softcap}, {first_col, vocab_size});
}

}  // namespace

STABLE_TORCH_LIBRARY_FRAGMENT(llmcore, m) {
  m.def(
      "cross_entropy(Tensor logits, Tensor labels, int ignore_index, float label_smoothing, "
      "float z_loss, float softcap) -> (Tensor, Tensor)");
  // The same without a gradient: skips the Python autograd layer, 5 us a call instead of 50.
  m.def(
      "cross_entropy_no_grad(Tensor logits, Tensor labels, int ignore_index, "
      "float label_smoothing, float z_loss, float softcap) -> (Tensor, Tensor)");
  m.def(
      "cross_entropy_backward(Tensor dlosses, Tensor logits, Tensor labels, Tensor lse, "
      "int ignore_index, float label_smoothing, float z_loss, float softcap) -> Tensor");
  // Turns logits, or a slice of their columns, into their gradient in place.
  m.def(
      "cross_entropy_grad_(Tensor(a!) logits, Tensor labels, Tensor lse, Tensor dlosses, "
      "int first_col, int vocab_size, int ignore_index, float label_smoothing, float z_loss, "
      "float softcap) -> ()");
}

STABLE_TORCH_LIBRARY_IMPL(llmcore, CPU, m) {
  m.impl("cross_entropy", TORCH_BOX(&cross_entropy));
  m.impl("cross_entropy_no_grad", TORCH_BOX(&cross_entropy));
  m.impl("cross_entropy_backward", TORCH_BOX(&cross_entropy_backward));
  m.impl("cross_entropy_grad_", TORCH_BOX(&cross_entropy_grad_));
}

}  // namespace llmcore::door

#endif  // LLMCORE_CUDA_LIBRARY
