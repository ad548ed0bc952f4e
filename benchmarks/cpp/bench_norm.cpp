// rms_norm and layer_norm kernels, plain and with the residual sum in front, forward and backward,
// against a copy of as many bytes.
#include <string>
#include <utility>

#include "cpu/kernel_table.h"
#include "harness.h"
#include "ops/layer_norm.h"
#include "ops/rms_norm.h"

namespace {

using llmcore::DType;
using llmcore::bench::Bench;
using llmcore::bench::Buffer;
using llmcore::bench::Case;
using llmcore::bench::Limit;
using llmcore::bench::normal;
using llmcore::bench::threads;

constexpr float kEps = 1e-5f;
constexpr float kScale = 2.2f;  // DeepNorm's alpha for 12 layers

// The tensors of one shape; every pass of every op uses some of them.
struct Tensors {
  Tensors(int64_t num_rows, int64_t num_cols, DType type)
      : rows(num_rows), cols(num_cols), dtype(type) {}
  int64_t rows, cols;
  DType dtype;
  int64_t width = cols * llmcore::element_size(dtype), bytes = rows * width;
  int64_t num_partials = llmcore::cpu::norm_num_partials(rows);
  Buffer x = normal(rows * cols, dtype, 1), dy = normal(rows * cols, dtype, 2);
  Buffer weight = normal(cols, dtype, 3), bias = normal(cols, dtype, 4);
  Buffer y = Buffer(bytes), h = Buffer(bytes), dweight = Buffer(width), dbias = Buffer(width);
  Buffer partials = Buffer(num_partials * 2 * llmcore::cpu::norm_padded_cols(cols) * 4);
};

Case case_of(const Tensors& t, const char* op, const char* pass, int64_t arrays,
             std::function<void()> run) {
  return {.op = op,
          .pass = pass,
          .dtype = llmcore::dtype_name(t.dtype),
          .shape = std::to_string(t.rows) + "x" + std::to_string(t.cols),
          .bytes = static_cast<double>(arrays * t.bytes),
          .limit = Limit::kCopy,
          .run = std::move(run)};
}

void bench_rms_norm(Bench& bench, const Tensors& t) {
  llmcore::RmsNormArgs plain{t.x.data(), t.weight.data(), t.y.data(), t.rows, t.cols,
                             kEps,       t.dtype};
  llmcore::RmsNormBackwardArgs back{t.dy.data(),    t.x.data(),       t.weight.data(),
                                    t.y.data(),     t.dweight.data(), t.partials.as<float>(),
                                    t.num_partials, t.rows,           t.cols,
                                    kEps,           t.dtype};
  auto add = plain;
  add.residual = t.dy.data();
  add.h = t.h.data();
  auto add_back = back;
  add_back.dh = t.x.data();
  auto scaled_back = add_back;
  scaled_back.dresidual = t.h.data();
  scaled_back.residual_scale = kScale;
  bench.measure({
      case_of(t, "rms_norm", "forward", 2, [&] { llmcore::cpu::rms_norm(plain, threads()); }),
      case_of(t, "rms_norm", "backward", 3,
              [&] { llmcore::cpu::rms_norm_backward(back, threads()); }),
      case_of(t, "add_rms_norm", "forward", 4, [&] { llmcore::cpu::rms_norm(add, threads()); }),
      case_of(t, "add_rms_norm", "backward", 4,
              [&] { llmcore::cpu::rms_norm_backward(add_back, threads()); }),
      case_of(t, "add_rms_norm", "backward, scaled", 5,
              [&] { llmcore::cpu::rms_norm_backward(scaled_back, threads()); }),
  });
}

void bench_layer_norm(Bench& bench, const Tensors& t) {
  llmcore::LayerNormArgs plain{t.x.data(), t.weight.data(), t.bias.data(), t.y.data(),
                               t.rows,     t.cols,          kEps,          t.dtype};
  llmcore::LayerNormBackwardArgs back{t.dy.data(),
                                      t.x.data(),
                                      t.weight.data(),
                                      t.y.data(),
                                      t.dweight.data(),
                                      t.dbias.data(),
                                      t.partials.as<float>(),
                                      t.num_partials,
                                      t.rows,
                                      t.cols,
                                      kEps,
                                      t.dtype};
  auto add = plain;
  add.residual = t.dy.data();
  add.h = t.h.data();
  add.residual_scale = kScale;
  auto add_back = back;
  add_back.dresidual = t.h.data();
  add_back.residual_scale = kScale;
  bench.measure({
      case_of(t, "layer_norm", "forward", 2, [&] { llmcore::cpu::layer_norm(plain, threads()); }),
      case_of(t, "layer_norm", "backward", 3,
              [&] { llmcore::cpu::layer_norm_backward(back, threads()); }),
      case_of(t, "add_layer_norm", "forward", 4, [&] { llmcore::cpu::layer_norm(add, threads()); }),
      case_of(t, "add_layer_norm", "backward", 4,
              [&] { llmcore::cpu::layer_norm_backward(add_back, threads()); }),
  });
}

void bench_shape(Bench& bench, int64_t rows, int64_t cols, DType dtype) {
  const Tensors tensors(rows, cols, dtype);
  bench_rms_norm(bench, tensors);
  bench_layer_norm(bench, tensors);
}

}  // namespace

int main(int argc, char** argv) {
  return llmcore::bench::run(argc, argv, [](Bench& bench) {
    for (const DType dtype : {DType::kFloat32, DType::kBFloat16}) {
      const int64_t narrow = dtype == DType::kFloat32 ? 1 : 2;
      bench_shape(bench, 16384 * narrow, 1024, dtype);  // 64 MiB: memory
      bench_shape(bench, 16000 * narrow, 1000, dtype);  // rows that start off the cache lines
      bench_shape(bench, 4096 * narrow, 4096, dtype);   // rows wider than a group
      bench_shape(bench, 8192, 192, dtype);             // last-level cache
      bench_shape(bench, 512, 128, dtype);              // the quickstart's
    }
  });
}
