// cross_entropy kernels: the forward against a read of the logits, the backward and the gradient in
// place against a copy of as many bytes.
#include <string>
#include <vector>

#include "cpu/kernel_table.h"
#include "harness.h"
#include "ops/cross_entropy.h"

namespace {

using llmcore::bench::Bench;
using llmcore::bench::Buffer;
using llmcore::bench::Limit;
using llmcore::bench::threads;

void bench_shape(Bench& bench, int64_t rows, int64_t cols, llmcore::DType dtype) {
  const int64_t bytes = rows * cols * llmcore::element_size(dtype);
  const Buffer logits = llmcore::bench::normal(rows * cols, dtype, 1, 3.0f);
  const Buffer changed = llmcore::bench::normal(rows * cols, dtype, 1, 3.0f);
  const Buffer losses(rows * 4), lse(rows * 4), dlosses(rows * 4), dlogits(bytes);
  std::vector<int64_t> labels(static_cast<size_t>(rows));
  for (int64_t n = 0; n < rows; ++n) labels[static_cast<size_t>(n)] = n * 7919 % cols;
  const llmcore::CrossEntropyArgs forward{.logits = logits.data(),
                                          .labels = labels.data(),
                                          .losses = losses.as<float>(),
                                          .lse = lse.as<float>(),
                                          .rows = rows,
                                          .cols = cols,
                                          .row_stride = cols,
                                          .ignore_index = -100,
                                          .label_smoothing = 0.0f,
                                          .z_loss = 0.0f,
                                          .softcap = 0.0f,
                                          .dtype = dtype};
  llmcore::CrossEntropyBackwardArgs backward{.dlosses = dlosses.as<float>(),
                                             .logits = logits.data(),
                                             .labels = labels.data(),
                                             .lse = lse.as<float>(),
                                             .dlogits = dlogits.data(),
                                             .rows = rows,
                                             .cols = cols,
                                             .row_stride = cols,
                                             .out_stride = cols,
                                             .first_col = 0,
                                             .vocab_size = cols,
                                             .ignore_index = -100,
                                             .label_smoothing = 0.0f,
                                             .z_loss = 0.0f,
                                             .softcap = 0.0f,
                                             .dtype = dtype};
  llmcore::CrossEntropyBackwardArgs in_place = backward;
  in_place.logits = in_place.dlogits = changed.data();
  const auto case_of = [&](const char* pass, int64_t arrays, Limit limit,
                           std::function<void()> run) {
    return llmcore::bench::Case{.op = "cross_entropy",
                                .pass = pass,
                                .dtype = llmcore::dtype_name(dtype),
                                .shape = std::to_string(rows) + "x" + std::to_string(cols),
                                .bytes = static_cast<double>(arrays * bytes),
                                .limit = limit,
                                .run = std::move(run)};
  };
  llmcore::cpu::cross_entropy(forward, threads());  // lse for the backward
  bench.measure({
      case_of("forward", 1, Limit::kRead, [&] { llmcore::cpu::cross_entropy(forward, threads()); }),
      case_of("backward", 2, Limit::kCopy,
              [&] { llmcore::cpu::cross_entropy_backward(backward, threads()); }),
      case_of("in place", 2, Limit::kCopy,
              [&] { llmcore::cpu::cross_entropy_backward(in_place, threads()); }),
  });
}

}  // namespace

int main(int argc, char** argv) {
  return llmcore::bench::run(argc, argv, [](Bench& bench) {
    for (const llmcore::DType dtype : {llmcore::DType::kFloat32, llmcore::DType::kBFloat16}) {
      bench_shape(bench, 512, 2048, dtype);    // the quickstart's, in the cache
      bench_shape(bench, 1000, 1000, dtype);   // an odd width, in the cache
      bench_shape(bench, 512, 50257, dtype);   // GPT-2's vocabulary
      bench_shape(bench, 256, 128256, dtype);  // Llama 3's
    }
  });
}
