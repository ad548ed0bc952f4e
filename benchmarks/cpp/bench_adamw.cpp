// adamw and global_norm kernels over lists of tensors: the step against a copy of as many bytes,
// the norm against a read.
#include <memory>
#include <string>
#include <vector>

#include "cpu/kernel_table.h"
#include "harness.h"
#include "ops/adamw.h"
#include "ops/global_norm.h"

namespace {

using llmcore::bench::Bench;
using llmcore::bench::Buffer;
using llmcore::bench::Limit;
using llmcore::bench::threads;

// `count` tensors of `numel` elements; bfloat16 parameters have float32 masters.
struct Model {
  Model(int64_t count, int64_t numel, llmcore::DType dtype) {
    int64_t step_blocks = 0, norm_blocks = 0;
    const bool narrow = dtype != llmcore::DType::kFloat32;
    for (int64_t t = 0; t < count; ++t) {
      char* param = keep(llmcore::bench::normal(numel, dtype, 1));
      char* grad = keep(llmcore::bench::normal(numel, dtype, 2));
      char* m = keep(llmcore::bench::normal(numel, llmcore::DType::kFloat32, 3));
      char* v = keep(Buffer(numel * 4));
      char* master =
          narrow ? keep(llmcore::bench::normal(numel, llmcore::DType::kFloat32, 4)) : nullptr;
      step.push_back({param, grad, reinterpret_cast<float*>(m), reinterpret_cast<float*>(v),
                      reinterpret_cast<float*>(master), numel, step_blocks, dtype});
      norm.push_back({grad, numel, norm_blocks, dtype});
      step_blocks += (numel + llmcore::kAdamWBlock - 1) / llmcore::kAdamWBlock;
      norm_blocks += (numel + llmcore::kGlobalNormBlock - 1) / llmcore::kGlobalNormBlock;
    }
    partials.resize(static_cast<size_t>(norm_blocks));
    num_step_blocks = step_blocks;
  }

  char* keep(Buffer buffer) {
    held.push_back(std::move(buffer));
    return held.back().data();
  }

  std::vector<Buffer> held;
  std::vector<llmcore::AdamWTensor> step;
  std::vector<llmcore::GlobalNormTensor> norm;
  std::vector<double> partials;
  int64_t num_step_blocks = 0;
};

void bench_model(Bench& bench, int64_t count, int64_t numel, llmcore::DType dtype) {
  Model model(count, numel, dtype);
  const bool narrow = dtype != llmcore::DType::kFloat32;
  const double elements = static_cast<double>(count * numel);
  const std::string shape = std::to_string(count) + "x" + std::to_string(numel);
  const llmcore::AdamWArgs args{.tensors = model.step.data(),
                                .num_tensors = count,
                                .num_blocks = model.num_step_blocks,
                                .grad_scale = 0.5f,
                                .keep = 0.9999f,
                                .beta1 = 0.9f,
                                .grad_share = 0.1f,
                                .beta2 = 0.95f,
                                .square_share = 0.05f,
                                .root_scale = 1.1f,
                                .step_size = 1e-4f,
                                .eps = 1e-8f};
  float result = 0.0f;
  const llmcore::GlobalNormArgs norm{model.norm.data(), count,
                                     static_cast<int64_t>(model.partials.size()),
                                     model.partials.data(), &result};
  const std::string name = llmcore::dtype_name(dtype);
  bench.measure({
      {.op = "adamw",
       .pass = "step",
       .dtype = name,
       .shape = shape,
       .bytes = elements * 28,  // masters: 6 float32 and 2 bfloat16; without: 7 float32
       .limit = Limit::kCopy,
       .run = [&] { llmcore::cpu::adamw(args, threads()); }},
      {.op = "global_norm",
       .pass = "forward",
       .dtype = name,
       .shape = shape,
       .bytes = elements * (narrow ? 2 : 4),
       .limit = Limit::kRead,
       .run = [&] { llmcore::cpu::global_norm(norm, threads()); }},
  });
}

}  // namespace

int main(int argc, char** argv) {
  return llmcore::bench::run(argc, argv, [](Bench& bench) {
    for (const llmcore::DType dtype : {llmcore::DType::kFloat32, llmcore::DType::kBFloat16}) {
      bench_model(bench, 4, 2048 * 2048, dtype);  // 64 MiB of float32 weights
      bench_model(bench, 28, 128 * 384, dtype);   // about the quickstart's
      bench_model(bench, 400, 1000, dtype);       // many small ones, in the cache
      bench_model(bench, 50, 999 * 1000, dtype);  // odd sizes, in memory
    }
  });
}
