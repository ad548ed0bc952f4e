// Schema, checks and the CPU implementation of global_norm. On CUDA the Python door calls PyTorch.
#include "ops/global_norm.h"

#ifndef LLMCORE_CUDA_LIBRARY

#include <memory>
#include <vector>

#include "torch/abi.h"

namespace llmcore::door {

namespace {

Tensor global_norm(const std::vector<Tensor>& tensors) {
  std::vector<Tensor> held;  // packed copies live until the kernel is done
  std::vector<GlobalNormTensor> views;
  views.reserve(tensors.size());
  int64_t num_blocks = 0;
  for (const Tensor& tensor : tensors) {
    const DType dtype = dtype_of("global_norm", "tensors", tensor);
    const int64_t numel = tensor.numel();
    if (!tensor.is_contiguous()) held.push_back(torch::stable::contiguous(tensor));
    const Tensor& whole = tensor.is_contiguous() ? tensor : held.back();
    views.push_back({whole.const_data_ptr(), numel, num_blocks, dtype});
    num_blocks += (numel + kGlobalNormBlock - 1) / kGlobalNormBlock;
  }
  Tensor norm = torch::stable::empty({}, torch::headeronly::ScalarType::Float);
  const std::unique_ptr<double[]> partials(new double[static_cast<size_t>(num_blocks)]);
  cpu::global_norm({.tensors = views.data(),
                    .num_tensors = static_cast<int64_t>(views.size()),
                    .num_blocks = num_blocks,
                    .partials = partials.get(),
                    .norm = static_cast<float*>(norm.mutable_data_ptr())},
                   torch_threads());
  return norm;
}

}  // namespace

STABLE_TORCH_LIBRARY_FRAGMENT(llmcore, m) {
  m.def("global_norm(Tensor[] tensors) -> Tensor");
}

STABLE_TORCH_LIBRARY_IMPL(llmcore, CPU, m) {
  m.impl("global_norm", TORCH_BOX(&global_norm));
}

}  // namespace llmcore::door

#endif  // LLMCORE_CUDA_LIBRARY
