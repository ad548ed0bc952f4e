// linear over packed weights: one row against reading the weight, many against the arithmetic peak.
#include <string>
#include <vector>

#include "cpu/kernel_table.h"
#include "cpu/linear_plan.h"
#include "cpu/tuning.h"
#include "harness.h"
#include "ops/linear.h"

namespace {

using llmcore::DType;
using llmcore::WeightFormat;
using llmcore::bench::Bench;
using llmcore::bench::Buffer;
using llmcore::bench::Limit;

struct Weight {
  const char* name;
  WeightFormat format;
  int64_t group_size;
};

constexpr Weight kWeights[] = {
    {"float32", WeightFormat::kFloat32, 0}, {"bfloat16", WeightFormat::kBFloat16, 0},
    {"int8", WeightFormat::kInt8, 0},       {"int8/64", WeightFormat::kInt8, 64},
    {"int4/32", WeightFormat::kInt4, 32},   {"int4/128", WeightFormat::kInt4, 128}};

// One group: a weight of (out_size, in_size) times each number of rows. Its content is a fixed
// byte: nothing here depends on values.
void bench_shape(Bench& bench, const Weight& kind, DType dtype, int64_t in_size, int64_t out_size,
                 const std::vector<int64_t>& rows_list) {
  const std::string name = std::string(llmcore::dtype_name(dtype)) + " x " + kind.name;
  const std::string shape = std::to_string(in_size) + "->" + std::to_string(out_size);
  if (!bench.wants("linear forward " + name + " " + shape)) return;
  const int64_t panels = llmcore::linear_num_panels(out_size);
  const int64_t data_bytes = panels * llmcore::linear_num_steps(kind.format, in_size) *
                             llmcore::linear_step_bytes(kind.format);
  const int64_t groups = llmcore::linear_is_quantised(kind.format)
                             ? llmcore::linear_num_groups(in_size, kind.group_size)
                             : 0;
  const Buffer data(data_bytes), scales(panels * groups * llmcore::kPanelWidth * 2);
  for (int64_t rows : rows_list) {
    const Buffer x = llmcore::bench::normal(rows * in_size, dtype, 1);
    const Buffer y(rows * out_size * llmcore::element_size(dtype));
    const Buffer scratch(llmcore::cpu::linear_scratch_bytes(rows, in_size));
    const llmcore::LinearArgs args{.x = x.data(),
                                   .weight = {data.data(), scales.as<uint16_t>(), in_size, out_size,
                                              kind.group_size, kind.format},
                                   .bias = nullptr,
                                   .y = y.data(),
                                   .scratch = scratch.size() > 0 ? scratch.data() : nullptr,
                                   .rows = rows,
                                   .dtype = dtype,
                                   .bfloat16_dot = llmcore::cpu::prefers_bfloat16_dot()};
    const double bytes = static_cast<double>(data.size() + scales.size());
    const bool is_dot = dtype == DType::kBFloat16 && kind.format != WeightFormat::kFloat32;
    bench.measure({{.op = "linear",
                    .pass = "forward",
                    .dtype = name,
                    .shape = std::to_string(rows) + " rows " + shape,
                    .bytes = bytes,
                    .flops = 2.0 * static_cast<double>(rows * in_size * out_size),
                    .limit = rows <= 16 ? Limit::kRead : (is_dot ? Limit::kDotBf16 : Limit::kFma),
                    .run = [&] { llmcore::cpu::linear(args, llmcore::bench::threads()); }}});
  }
}

}  // namespace

int main(int argc, char** argv) {
  return llmcore::bench::run(argc, argv, [](Bench& bench) {
    for (const DType dtype : {DType::kFloat32, DType::kBFloat16}) {
      for (const Weight& kind : kWeights) {
        // Output channels such that the weight has 64 MiB or more: no cache holds it.
        const int64_t step_bytes = llmcore::linear_step_bytes(kind.format);
        const int64_t byte_step = 4 * llmcore::kPanelWidth * llmcore::linear_step_size(kind.format);
        const int64_t out_size = 4096 * byte_step / step_bytes;
        bench_shape(bench, kind, dtype, 4096, out_size, {1, 2, 4, 8, 16});
        bench_shape(bench, kind, dtype, 4096, 4096, {32, 64, 256, 1024});
        bench_shape(bench, kind, dtype, 1000, 50257, {1, 8, 64});
        bench_shape(bench, kind, dtype, 80, 1, {1, 4096});
        bench_shape(bench, kind, dtype, 256, 640, {1, 64});  // the quickstart's
      }
    }
  });
}
