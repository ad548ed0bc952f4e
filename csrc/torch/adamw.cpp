// Schema, checks and the CPU implementation of adamw_. On CUDA the Python door calls PyTorch.
#include "ops/adamw.h"

#ifndef LLMCORE_CUDA_LIBRARY

#include <cmath>
#include <vector>

#include "torch/abi.h"

namespace llmcore::door {

namespace {

using torch::headeronly::IntHeaderOnlyArrayRef;
using torch::headeronly::ScalarType;
using Tensors = std::vector<Tensor>;

[[noreturn]] void fail(const std::string& message) {
  throw std::runtime_error("adamw_: " + message);
}

void check_list(const char* name, const Tensors& list, const Tensors& params) {
  if (list.size() == params.size()) return;
  fail(std::string(name) + " must be a list of " + std::to_string(params.size()) +
       " tensors, got " + std::to_string(list.size()));
}

// The dispatcher has seen to the device: a tensor of another one would have chosen its kernels.
void check_tensor(const char* name, size_t idx, const Tensor& tensor, IntHeaderOnlyArrayRef sizes,
                  ScalarType dtype) {
  if (tensor.sizes() == sizes && tensor.scalar_type() == dtype) return;
  fail(std::string(name) + "[" + std::to_string(idx) +
       "] must be of its weight's shape, and float32 or, a gradient, of its weight's dtype; got "
       "another");
}

// The lists as the kernel sees them. A tensor that is not contiguous is worked on as a copy.
class StepTensors {
 public:
  explicit StepTensors(size_t count) { views_.reserve(count); }

  void add(const Tensor& param, const Tensor& grad, const Tensor& exp_avg, const Tensor& exp_avg_sq,
           const Tensor* master) {
    AdamWTensor view{};
    view.dtype = dtype_of("adamw_", "params", param);
    view.numel = param.numel();
    view.first_block = num_blocks_;
    view.param = writable(param);
    view.grad = readable(grad);
    view.exp_avg = static_cast<float*>(writable(exp_avg));
    view.exp_avg_sq = static_cast<float*>(writable(exp_avg_sq));
    view.master = master == nullptr ? nullptr : static_cast<float*>(writable(*master));
    views_.push_back(view);
    num_blocks_ += (view.numel + kAdamWBlock - 1) / kAdamWBlock;
  }

  void write_back() {
    for (auto& [original, copy] : copies_) torch::stable::copy_(original, copy);
  }

  const std::vector<AdamWTensor>& views() const { return views_; }
  int64_t num_blocks() const { return num_blocks_; }

 private:
  const void* readable(const Tensor& tensor) {
    if (tensor.is_contiguous()) return tensor.const_data_ptr();
    held_.push_back(torch::stable::contiguous(tensor));
    return held_.back().const_data_ptr();
  }

  void* writable(const Tensor& tensor) {
    if (tensor.is_contiguous()) return tensor.mutable_data_ptr();
    copies_.emplace_back(tensor, torch::stable::contiguous(tensor));
    return copies_.back().second.mutable_data_ptr();
  }

  std::vector<AdamWTensor> views_;
  Tensors held_;
  std::vector<std::pair<Tensor, Tensor>> copies_;
  int64_t num_blocks_ = 0;
};

// A number that a 0-dim CPU tensor holds; 1 for an empty tensor.
double scale_of(const Tensor& tensor) {
  if (tensor.dim() == 1 && tensor.numel() == 0) return 1.0;
  if (tensor.dim() == 0 && !tensor.is_cuda()) {
    const void* data = tensor.const_data_ptr();
    if (tensor.scalar_type() == ScalarType::Float) return *static_cast<const float*>(data);
    if (tensor.scalar_type() == ScalarType::Double) return *static_cast<const double*>(data);
  }
  fail("grad_scale must be a 0-dim float32 or float64 tensor, got another");
}

void check_hyper(int64_t step, double beta1, double beta2, double eps) {
  if (step < 1) fail("step must be >= 1, got " + std::to_string(step));
  for (const double beta : {beta1, beta2}) {
    if (!(beta >= 0.0 && beta < 1.0)) fail("betas must be in [0, 1), got " + std::to_string(beta));
  }
  if (!(eps >= 0.0)) fail("eps must be >= 0, got " + std::to_string(eps));
}

void adamw_(const Tensors& params, const Tensors& grads, const Tensors& exp_avgs,
            const Tensors& exp_avg_sqs, const Tensors& masters, const Tensor& grad_scale,
            int64_t step, double lr, double beta1, double beta2, double eps, double weight_decay) {
  check_list("grads", grads, params);
  check_list("exp_avgs", exp_avgs, params);
  check_list("exp_avg_sqs", exp_avg_sqs, params);
  if (!masters.empty()) check_list("masters", masters, params);
  check_hyper(step, beta1, beta2, eps);
  for (size_t i = 0; i < params.size(); ++i) {
    const IntHeaderOnlyArrayRef sizes = params[i].sizes();
    check_tensor("grads", i, grads[i], sizes, params[i].scalar_type());
    check_tensor("exp_avgs", i, exp_avgs[i], sizes, ScalarType::Float);
    check_tensor("exp_avg_sqs", i, exp_avg_sqs[i], sizes, ScalarType::Float);
    if (!masters.empty() && masters[i].numel() > 0) {
      check_tensor("masters", i, masters[i], sizes, ScalarType::Float);
    }
    dtype_of("adamw_", "params", params[i]);
  }
  StepTensors tensors(params.size());
  for (size_t i = 0; i < params.size(); ++i) {
    const bool has_master = !masters.empty() && masters[i].numel() > 0;
    tensors.add(params[i], grads[i], exp_avgs[i], exp_avg_sqs[i],
                has_master ? &masters[i] : nullptr);
  }
  const double power = static_cast<double>(step);
  cpu::adamw({.tensors = tensors.views().data(),
              .num_tensors = static_cast<int64_t>(tensors.views().size()),
              .num_blocks = tensors.num_blocks(),
              .grad_scale = static_cast<float>(scale_of(grad_scale)),
              .keep = static_cast<float>(1.0 - lr * weight_decay),
              .beta1 = static_cast<float>(beta1),
              .grad_share = static_cast<float>(1.0 - beta1),
              .beta2 = static_cast<float>(beta2),
              .square_share = static_cast<float>(1.0 - beta2),
              .root_scale = static_cast<float>(1.0 / std::sqrt(1.0 - std::pow(beta2, power))),
              .step_size = static_cast<float>(lr / (1.0 - std::pow(beta1, power))),
              .eps = static_cast<float>(eps)},
             torch_threads());
  tensors.write_back();
}

}  // namespace

STABLE_TORCH_LIBRARY_FRAGMENT(llmcore, m) {
  m.def(
      "adamw_(Tensor(a!)[] params, Tensor[] grads, Tensor(b!)[] exp_avgs, "
      "Tensor(c!)[] exp_avg_sqs, Tensor(d!)[] masters, Tensor grad_scale, int step, float lr, "
      "float beta1, float beta2, float eps, float weight_decay) -> ()");
}

STABLE_TORCH_LIBRARY_IMPL(llmcore, CPU, m) {
  m.impl("adamw_", TORCH_BOX(&adamw_));
}

}  // namespace llmcore::door

#endif  // LLMCORE_CUDA_LIBRARY
