// rms_norm kernels, forward and backward, against a copy of as many bytes.
#include <string>

#include "cpu/kernel_table.h"
#include "harness.h"
#include "ops/rms_norm.h"

namespace {

using llmcore::bench::Bench;
using llmcore::bench::Buffer;
using llmcore::bench::Limit;
using llmcore::bench::threads;

void bench_shape(Bench& bench, int64_t rows, int64_t cols, llmcore::DType dtype) {
  const int64_t width = cols * llmcore::element_size(dtype), bytes = rows * width;
  const int64_t num_partials = llmcore::cpu::rms_norm_num_partials(rows);
  const std::string name = llmcore::dtype_name(dtype);
  const std::string shape = std::to_string(rows) + "x" + std::to_string(cols);
  const Buffer x = llmcore::bench::normal(rows * cols, dtype, 1);
  const Buffer dy = llmcore::bench::normal(rows * cols, dtype, 2);
  const Buffer weight = llmcore::bench::normal(cols, dtype, 3);
  const Buffer y(bytes), dx(bytes), dweight(width), partials(num_partials * cols * 4);
  const llmcore::RmsNormArgs forward{x.data(), weight.data(), y.data(), rows, cols, 1e-6f, dtype};
  const llmcore::RmsNormBackwardArgs backward{
      dy.data(),    x.data(), weight.data(), dx.data(), dweight.data(), partials.as<float>(),
      num_partials, rows,     cols,          1e-6f,     dtype};
  const auto case_of = [&](const char* pass, int64_t arrays, std::function<void()> run) {
    return llmcore::bench::Case{.op = "rms_norm",
                                .pass = pass,
                                .dtype = name,
                                .shape = shape,
                                .bytes = static_cast<double>(arrays * bytes),
                                .limit = Limit::kCopy,
                                .run = std::move(run)};
  };
  bench.measure({
      case_of("forward", 2, [&] { llmcore::cpu::rms_norm(forward, threads()); }),
      case_of("backward", 3, [&] { llmcore::cpu::rms_norm_backward(backward, threads()); }),
  });
}

}  // namespace

int main(int argc, char** argv) {
  return llmcore::bench::run(argc, argv, [](Bench& bench) {
    for (const llmcore::DType dtype : {llmcore::DType::kFloat32, llmcore::DType::kBFloat16}) {
      const int64_t narrow = dtype == llmcore::DType::kFloat32 ? 1 : 2;
      bench_shape(bench, 16384 * narrow, 1024, dtype);  // 64 MiB: memory
      bench_shape(bench, 8000 * narrow, 1000, dtype);   // an odd width, in memory
      bench_shape(bench, 8192, 192, dtype);             // cache
      bench_shape(bench, 512, 128, dtype);              // the quickstart's
    }
  });
}
