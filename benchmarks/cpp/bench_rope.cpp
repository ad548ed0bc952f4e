// rope kernels, both layouts, forward and in place, against a copy of as many bytes. The gradient
// is the forward with the sine negated.
#include <string>

#include "cpu/kernel_table.h"
#include "harness.h"
#include "ops/rope.h"

namespace {

using llmcore::DType;
using llmcore::RopeArgs;
using llmcore::bench::Bench;
using llmcore::bench::Buffer;
using llmcore::bench::Limit;
using llmcore::bench::threads;

struct Shape {
  int64_t batch, length, heads, head_dim, pairs;
};

RopeArgs args_of(const Shape& shape, DType dtype, const Buffer& x, const Buffer& y,
                 const Buffer& cos, const Buffer& sin) {
  const int64_t token = shape.heads * shape.head_dim, batch = shape.length * token;
  return {.x = x.data(),
          .y = y.data(),
          .batch = shape.batch,
          .length = shape.length,
          .heads = shape.heads,
          .head_dim = shape.head_dim,
          .x_batch = batch,
          .x_token = token,
          .x_head = shape.head_dim,
          .y_batch = batch,
          .y_token = token,
          .y_head = shape.head_dim,
          .cos = {cos.as<float>(), 0, shape.pairs},
          .sin = {sin.as<float>(), 0, shape.pairs},
          .pairs = shape.pairs,
          .positions = nullptr,
          .position_batch = 0,
          .position_token = 0,
          .interleaved = false,
          .inverse = false,
          .dtype = dtype};
}

void bench_shape(Bench& bench, const Shape& shape, DType dtype) {
  const int64_t count = shape.batch * shape.length * shape.heads * shape.head_dim;
  const Buffer x = llmcore::bench::normal(count, dtype, 1), y(x.size());
  const Buffer cos = llmcore::bench::normal(shape.length * shape.pairs, DType::kFloat32, 2);
  const Buffer sin = llmcore::bench::normal(shape.length * shape.pairs, DType::kFloat32, 3);
  std::string name = std::to_string(shape.batch);
  for (const int64_t size : {shape.length, shape.heads, shape.head_dim}) {
    name.append("x").append(std::to_string(size));
  }
  if (2 * shape.pairs < shape.head_dim) {
    name.append(":").append(std::to_string(2 * shape.pairs));
  }
  const RopeArgs halves = args_of(shape, dtype, x, y, cos, sin);
  RopeArgs neighbours = halves, backward = halves, in_place = halves;
  neighbours.interleaved = backward.inverse = true;
  in_place.y = x.data();
  const auto case_of = [&](const char* pass, const RopeArgs& args) {
    return llmcore::bench::Case{.op = "rope",
                                .pass = pass,
                                .dtype = llmcore::dtype_name(dtype),
                                .shape = name,
                                .bytes = static_cast<double>(2 * x.size() + 2 * cos.size()),
                                .limit = Limit::kCopy,
                                .run = [&args] { llmcore::cpu::rope(args, threads()); }};
  };
  bench.measure({case_of("halves", halves), case_of("interleaved", neighbours),
                 case_of("backward", backward), case_of("in place", in_place)});
}

}  // namespace

int main(int argc, char** argv) {
  return llmcore::bench::run(argc, argv, [](Bench& bench) {
    for (const DType dtype : {DType::kFloat32, DType::kBFloat16}) {
      const int64_t narrow = dtype == DType::kFloat32 ? 1 : 2;
      bench_shape(bench, {2 * narrow, 2048, 32, 128, 64}, dtype);  // 64 MiB: memory
      bench_shape(bench, {4 * narrow, 1000, 32, 80, 40}, dtype);   // odd: no whole registers
      bench_shape(bench, {4 * narrow, 1024, 16, 256, 32}, dtype);  // partial, GPT-J's
      bench_shape(bench, {2, 256, 4, 32, 16}, dtype);              // the quickstart's queries
    }
  });
}
