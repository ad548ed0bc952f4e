// linear_cross_entropy against the machine's multipliers: losses alone (one matrix product), with
// one of the gradients (two), and with both (three).
#include <string>
#include <vector>

#include "cpu/kernel_table.h"
#include "cpu/linear_cross_entropy_plan.h"
#include "cpu/tuning.h"
#include "harness.h"
#include "ops/linear_cross_entropy.h"

namespace {

using llmcore::bench::Bench;
using llmcore::bench::Buffer;
using llmcore::bench::Limit;
using llmcore::bench::threads;

void bench_shape(Bench& bench, int64_t rows, int64_t width, int64_t vocab, llmcore::DType dtype) {
  const std::string shape =
      std::to_string(rows) + "x" + std::to_string(width) + "x" + std::to_string(vocab);
  if (!bench.wants(shape)) return;
  const auto plan = llmcore::cpu::lce_plan(rows, width, vocab);
  const Buffer hidden = llmcore::bench::normal(rows * width, dtype, 1);
  const Buffer weight = llmcore::bench::normal(vocab * width, dtype, 2, 1.0f / 16);
  const Buffer dhidden(hidden.size()), dweight(weight.size()), losses(rows * 4), dlosses(rows * 4);
  const Buffer scratch(llmcore::cpu::lce_layout(plan, dtype).total);
  std::vector<int64_t> labels(static_cast<size_t>(rows));
  for (int64_t n = 0; n < rows; ++n) labels[static_cast<size_t>(n)] = n * 7919 % vocab;
  const auto args_of = [&](bool wants_hidden, bool wants_weight) {
    const bool wants_any = wants_hidden || wants_weight;
    return llmcore::LinearCrossEntropyArgs{.hidden = hidden.data(),
                                           .weight = weight.data(),
                                           .bias = nullptr,
                                           .labels = labels.data(),
                                           .dlosses = wants_any ? dlosses.as<float>() : nullptr,
                                           .losses = losses.as<float>(),
                                           .dhidden = wants_hidden ? dhidden.data() : nullptr,
                                           .dweight = wants_weight ? dweight.data() : nullptr,
                                           .dbias = nullptr,
                                           .scratch = scratch.data(),
                                           .rows = rows,
                                           .width = width,
                                           .vocab_size = vocab,
                                           .ignore_index = -100,
                                           .label_smoothing = 0.0f,
                                           .z_loss = 0.0f,
                                           .softcap = 0.0f,
                                           .dtype = dtype,
                                           .bfloat16_dot = llmcore::cpu::prefers_bfloat16_dot()};
  };
  const auto case_of = [&](const char* pass, bool wants_hidden, bool wants_weight) {
    const int products = 1 + (wants_hidden ? 1 : 0) + (wants_weight ? 1 : 0);
    return llmcore::bench::Case{
        .op = "linear_cross_entropy",
        .pass = pass,
        .dtype = llmcore::dtype_name(dtype),
        .shape = shape,
        .flops = 2.0 * products * static_cast<double>(rows * width * vocab),
        .limit = dtype == llmcore::DType::kFloat32 ? Limit::kFma : Limit::kDotBf16,
        .run = [args = args_of(wants_hidden, wants_weight)] {
          llmcore::cpu::linear_cross_entropy(args, threads());
        }};
  };
  bench.measure({case_of("forward", false, false), case_of("dhidden", true, false),
                 case_of("dweight", false, true), case_of("train", true, true)});
}

}  // namespace

int main(int argc, char** argv) {
  return llmcore::bench::run(argc, argv, [](Bench& bench) {
    for (const llmcore::DType dtype : {llmcore::DType::kFloat32, llmcore::DType::kBFloat16}) {
      bench_shape(bench, 512, 192, 2048, dtype);     // the quickstart's
      bench_shape(bench, 1000, 1000, 1000, dtype);   // odd sizes
      bench_shape(bench, 1000, 1000, 50257, dtype);  // GPT-2's vocabulary
      bench_shape(bench, 1024, 512, 128256, dtype);  // Llama 3's
      bench_shape(bench, 2048, 192, 128256, dtype);
    }
  });
}
