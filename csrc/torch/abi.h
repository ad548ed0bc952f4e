// What every op door needs of the stable ABI: views for the checks, dtypes, threads.
#pragma once

#include <torch/csrc/stable/library.h>
#include <torch/csrc/stable/ops.h>
#include <torch/csrc/stable/tensor.h>
#include <torch/headeronly/core/ScalarType.h>

#include <stdexcept>
#include <string>

#include "core/huge_pages.h"
#include "core/parallel.h"
#include "core/tensor_matcher.h"

namespace llmcore::door {

using torch::stable::Tensor;

inline DType dtype_of(const char* op, const char* argument, const Tensor& tensor) {
  using torch::headeronly::ScalarType;
  switch (tensor.scalar_type()) {
    case ScalarType::Float:
      return DType::kFloat32;
    case ScalarType::BFloat16:
      return DType::kBFloat16;
    case ScalarType::Half:
      return DType::kFloat16;
    default:
      throw std::runtime_error(std::string(op) + ": " + argument +
                               " must be float32, bfloat16 or float16");
  }
}

inline TensorView view_of(const Tensor& tensor, DType dtype) {
  return {tensor.data_ptr(), tensor.sizes().data(), tensor.strides().data(), tensor.dim(), dtype};
}

inline Tensor packed(const Tensor& tensor) {
  return tensor.is_contiguous() ? tensor : torch::stable::contiguous(tensor);
}

// A fresh CPU result that the kernel writes in full: where it is large, on huge pages.
inline Tensor on_huge_pages(Tensor result) {
  const int64_t bytes = result.numel() * static_cast<int64_t>(result.element_size());
  if (result.is_cpu()) advise_huge_pages(result.mutable_data_ptr(), bytes);
  return result;
}

// An uninitialised result of the shape and dtype of `tensor`.
inline Tensor new_result(const Tensor& tensor) {
  return on_huge_pages(torch::stable::new_empty(tensor, tensor.sizes()));
}

// The caller's torch thread pool (torch.set_num_threads).
inline ParallelFor torch_threads() {
  return {[](int64_t begin, int64_t end, int64_t grain, ParallelFor::Body body, void* context) {
    STABLE_TORCH_ERROR_CODE_CHECK(torch_parallel_for(begin, end, grain, body, context));
  }};
}

}  // namespace llmcore::door
