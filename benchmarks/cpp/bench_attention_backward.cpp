// The backward of attention against the multiply-add peak: causal, windowed and with a bias. A
// kept pair costs 6 D + 4 Dv operations: five products, one of them the scores made again.
#include <algorithm>
#include <string>
#include <vector>

#include "cpu/kernel_table.h"
#include "harness.h"
#include "ops/attention_backward.h"

namespace {

using llmcore::DType;
using llmcore::HeadStrides;
using llmcore::bench::Bench;
using llmcore::bench::Buffer;
using llmcore::bench::Limit;
using llmcore::bench::normal;

struct Shape {
  int64_t batch, length, heads, kv_heads, width;
  int64_t window = 0;
  bool bias = false;

  std::string name() const {
    std::string text = std::to_string(batch) + "x" + std::to_string(length) + "x" +
                       std::to_string(heads) + "/" + std::to_string(kv_heads) + "x" +
                       std::to_string(width);
    if (window > 0) text += " window " + std::to_string(window);
    return bias ? text + " bias" : text;
  }
  double pairs() const {
    double kept = 0;
    for (int64_t t = 0; t < length; ++t) {
      kept += static_cast<double>(window > 0 ? std::min(window, t + 1) : t + 1);
    }
    return kept * static_cast<double>(batch * heads);
  }
};

// lse and out need not fit q, k and v: the work is the same. Probabilities are about 1 / T.
void bench_shape(Bench& bench, const Shape& shape, DType dtype) {
  if (!bench.wants(shape.name())) return;
  const int64_t rows = shape.batch * shape.length;
  const int64_t queries = rows * shape.heads * shape.width;
  const int64_t keys = rows * shape.kv_heads * shape.width, size = llmcore::element_size(dtype);
  const int64_t biases = shape.bias ? shape.heads * shape.length * shape.length : 0;
  const Buffer q = normal(queries, dtype, 1), k = normal(keys, dtype, 2),
               v = normal(keys, dtype, 3);
  const Buffer out = normal(queries, dtype, 4, 0.1f), dout = normal(queries, dtype, 5);
  const Buffer bias = normal(biases, dtype, 6), lse(rows * shape.heads * 4);
  const Buffer dq(queries * size), dk(keys * size), dv(keys * size), dbias(biases * 4);
  std::fill_n(lse.as<float>(), rows * shape.heads, 7.0f);
  llmcore::AttentionBackwardArgs args{};
  llmcore::AttentionArgs& forward = args.forward;
  forward.q = q.data(), forward.k = k.data(), forward.v = v.data(), forward.out = out.data();
  forward.lse = lse.as<float>();
  const auto strides = [&](int64_t heads) {
    return HeadStrides{shape.length * heads * shape.width, heads * shape.width, shape.width};
  };
  forward.q_strides = forward.out_strides = args.dout_strides = args.dq_strides =
      strides(shape.heads);
  forward.k_strides = forward.v_strides = args.dk_strides = args.dv_strides =
      strides(shape.kv_heads);
  forward.num_sequences = shape.batch;
  forward.num_queries = forward.num_keys = shape.length;
  forward.num_heads = shape.heads, forward.num_kv_heads = shape.kv_heads;
  forward.head_dim = forward.value_dim = shape.width;
  forward.dtype = dtype;
  forward.scale = 0.1f;
  forward.causal = true;
  forward.window = shape.window;
  if (shape.bias) {
    forward.bias = bias.data(), args.dbias = dbias.data();
    forward.bias_head_stride = args.dbias_head_stride = shape.length * shape.length;
    forward.bias_query_stride = args.dbias_query_stride = shape.length;
    forward.bias_key_stride = args.dbias_key_stride = 1;
  }
  args.dout = dout.data(), args.dq = dq.data(), args.dk = dk.data(), args.dv = dv.data();
  args.num_threads = llmcore::bench::num_threads();
  const Buffer scratch(4 *
                       llmcore::cpu::attention_backward_scratch_floats(forward, args.num_threads));
  args.scratch = scratch.as<float>();
  bench.measure(
      {{.op = "attention",
        .pass = "backward",
        .dtype = llmcore::dtype_name(dtype),
        .shape = shape.name(),
        .bytes = static_cast<double>((3 * queries + 4 * keys) * size + biases * (size + 4)),
        .flops = 10.0 * static_cast<double>(shape.width) * shape.pairs(),
        .limit = dtype == DType::kFloat32 ? Limit::kFma : Limit::kDotBf16,
        .run = [&] { llmcore::cpu::attention_backward(args, llmcore::bench::threads()); }}});
}

}  // namespace

int main(int argc, char** argv) {
  return llmcore::bench::run(argc, argv, [](Bench& bench) {
    const std::vector<Shape> shapes{
        {.batch = 2, .length = 256, .heads = 4, .kv_heads = 2, .width = 32},  // the quickstart's
        {.batch = 1, .length = 1000, .heads = 4, .kv_heads = 2, .width = 80},
        {.batch = 1, .length = 1024, .heads = 8, .kv_heads = 8, .width = 64},
        {.batch = 1, .length = 2048, .heads = 2, .kv_heads = 1, .width = 128},
        {.batch = 1, .length = 4096, .heads = 2, .kv_heads = 2, .width = 64},
        {.batch = 1, .length = 4096, .heads = 1, .kv_heads = 1, .width = 128},
        {.batch = 1, .length = 4096, .heads = 2, .kv_heads = 2, .width = 64, .window = 512},
        {.batch = 2, .length = 512, .heads = 4, .kv_heads = 4, .width = 64, .bias = true},
    };
    for (const DType dtype : {DType::kFloat32, DType::kBFloat16}) {
      for (const Shape& shape : shapes) bench_shape(bench, shape, dtype);
    }
  });
}
