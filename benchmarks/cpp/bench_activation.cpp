// Activation kernels, forward and backward, against a copy of as many bytes.
#include <string>

#include "cpu/kernel_table.h"
#include "harness.h"
#include "ops/activation.h"

namespace {

using llmcore::Activation;
using llmcore::DType;
using llmcore::bench::Bench;
using llmcore::bench::Buffer;
using llmcore::bench::Limit;
using llmcore::bench::threads;

struct Op {
  const char* name;
  Activation function;
  bool is_gated;
};

constexpr Op kOps[] = {
    {"swiglu", Activation::kSilu, true},         {"geglu", Activation::kGelu, true},
    {"geglu tanh", Activation::kGeluTanh, true}, {"gelu", Activation::kGelu, false},
    {"gelu tanh", Activation::kGeluTanh, false}, {"relu2", Activation::kRelu2, false}};

// `fused`: gate and up are the halves of one projection's rows.
void bench_shape(Bench& bench, const Op& op, int64_t rows, int64_t cols, DType dtype, bool fused) {
  const int64_t bytes = rows * cols * llmcore::element_size(dtype);
  const Buffer x = llmcore::bench::normal((fused ? 2 : 1) * rows * cols, dtype, 1);
  const Buffer other = llmcore::bench::normal(op.is_gated ? rows * cols : 1, dtype, 2);
  const Buffer dy = llmcore::bench::normal(rows * cols, dtype, 3);
  const Buffer y(bytes), dx(bytes), dup(op.is_gated ? bytes : 1);
  const int64_t row = fused ? 2 * cols : cols;
  llmcore::ActivationInput up{nullptr, row};
  if (op.is_gated) up.data = fused ? x.data() + cols * llmcore::element_size(dtype) : other.data();
  const llmcore::ActivationArgs forward{{x.data(), row}, up,   y.data(), rows, cols,
                                        op.function,     dtype};
  const llmcore::ActivationBackwardArgs backward{{dy.data(), cols},
                                                 {x.data(), row},
                                                 up,
                                                 dx.data(),
                                                 dup.data(),
                                                 rows,
                                                 cols,
                                                 op.function,
                                                 dtype};
  const std::string shape = std::to_string(rows) + "x" + std::to_string(cols);
  const auto case_of = [&](const char* pass, int64_t arrays, std::function<void()> run) {
    return llmcore::bench::Case{.op = op.name,
                                .pass = pass,
                                .dtype = llmcore::dtype_name(dtype),
                                .shape = fused ? shape + " fused" : shape,
                                .bytes = static_cast<double>(arrays * bytes),
                                .limit = Limit::kCopy,
                                .run = std::move(run)};
  };
  bench.measure({
      case_of("forward", op.is_gated ? 3 : 2,
              [&] { llmcore::cpu::activation(forward, threads()); }),
      case_of("backward", op.is_gated ? 5 : 3,
              [&] { llmcore::cpu::activation_backward(backward, threads()); }),
  });
}

}  // namespace

int main(int argc, char** argv) {
  return llmcore::bench::run(argc, argv, [](Bench& bench) {
    for (const DType dtype : {DType::kFloat32, DType::kBFloat16}) {
      const int64_t narrow = dtype == DType::kFloat32 ? 1 : 2;
      for (const Op& op : kOps) {
        bench_shape(bench, op, 8192 * narrow, 2048, dtype, false);  // 64 MiB a tensor: memory
        bench_shape(bench, op, 8000 * narrow, 1001, dtype, false);  // an odd width
        if (op.is_gated) bench_shape(bench, op, 6000 * narrow, 1364, dtype, true);
        bench_shape(bench, op, 512, 384, dtype, false);  // the quickstart's
      }
    }
  });
}
