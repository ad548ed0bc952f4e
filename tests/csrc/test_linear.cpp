// linear on exact-size heap buffers with real threads, against a double loop over a weight packed
// here by the layout's words: what a sanitizer needs to see. Accuracy is tests/ops' matter.
#include <cmath>
#include <cstdio>
#include <cstring>
#include <stdexcept>
#include <thread>
#include <vector>

#include "cpu/kernel_table.h"
#include "cpu/linear_plan.h"
#include "expect.h"
#include "ops/linear.h"

namespace {

using llmcore::DType;
using llmcore::kPanelWidth;
using llmcore::WeightFormat;

int num_threads = 2;

void run_parallel(int64_t begin, int64_t end, int64_t grain, llmcore::ParallelFor::Body body,
                  void* context) {
  const int64_t even = (end - begin + num_threads - 1) / num_threads;
  const int64_t share = even > grain ? even : grain;
  std::vector<std::thread> workers;
  for (int64_t at = begin; at < end; at += share) {
    workers.emplace_back(body, at, at + share < end ? at + share : end, context);
  }
  for (std::thread& worker : workers) worker.join();
}

constexpr llmcore::ParallelFor kThreads{run_parallel};

uint16_t to_bfloat16(float value) {  // truncates: the numbers below are exact
  uint32_t bits;
  std::memcpy(&bits, &value, 4);
  return static_cast<uint16_t>(bits >> 16);
}
float from_bfloat16(uint16_t half) {
  const uint32_t bits = static_cast<uint32_t>(half) << 16;
  float value;
  std::memcpy(&value, &bits, 4);
  return value;
}

// A small integer that every format holds exactly.
int integer(int64_t i) {
  return static_cast<int>((i * 2654435761 >> 7) % 15) - 7;
}

struct Packed {
  std::vector<char> data;
  std::vector<uint16_t> scales;
  llmcore::PackedWeight view;
};

// W_oi = integer(o * I + i) * scale(o, group): 1 for the float formats.
float scale_of(int64_t o, int64_t group) {
  return 0.25f * static_cast<float>(1 + (o + group) % 3);
}

Packed pack(WeightFormat format, int64_t in_size, int64_t out_size, int64_t group_size) {
  const int64_t panels = llmcore::linear_num_panels(out_size);
  const int64_t steps = llmcore::linear_num_steps(format, in_size);
  const int64_t panel_bytes = steps * llmcore::linear_step_bytes(format);
  Packed packed;
  packed.data.assign(static_cast<size_t>(panels * panel_bytes), 0);
  for (int64_t o = 0; o < out_size; ++o) {
    char* panel = packed.data.data() + o / kPanelWidth * panel_bytes;
    const int64_t lane = o % kPanelWidth;
    for (int64_t i = 0; i < in_size; ++i) {
      const int q = integer(o * in_size + i);
      if (format == WeightFormat::kFloat32) {
        const auto value = static_cast<float>(q);
        std::memcpy(panel + (i * kPanelWidth + lane) * 4, &value, 4);
      } else if (format == WeightFormat::kBFloat16) {
        const uint16_t value = to_bfloat16(static_cast<float>(q));
        std::memcpy(panel + ((i / 2 * kPanelWidth + lane) * 2 + i % 2) * 2, &value, 2);
      } else if (format == WeightFormat::kInt8) {
        panel[(i / 2 * kPanelWidth + lane) * 2 + i % 2] = static_cast<char>(q);
      } else {
        const int64_t j = i % 8, shift = j % 2 * 16 + j / 2 * 4;
        uint32_t eight;
        char* at = panel + (i / 8 * kPanelWidth + lane) * 4;
        std::memcpy(&eight, at, 4);
        eight |= (static_cast<uint32_t>(q) & 15u) << shift;
        std::memcpy(at, &eight, 4);
      }
    }
  }
  if (llmcore::linear_is_quantised(format)) {
    const int64_t groups = llmcore::linear_num_groups(in_size, group_size);
    packed.scales.assign(static_cast<size_t>(panels * groups * kPanelWidth), 0);
    for (int64_t o = 0; o < out_size; ++o) {
      for (int64_t g = 0; g < groups; ++g) {
        const int64_t at = (o / kPanelWidth * groups + g) * kPanelWidth + o % kPanelWidth;
        packed.scales[static_cast<size_t>(at)] = to_bfloat16(scale_of(o, g));
      }
    }
  }
  packed.view = {packed.data.data(),
                 packed.scales.empty() ? nullptr : packed.scales.data(),
                 in_size,
                 out_size,
                 group_size,
                 format};
  return packed;
}

double expected(const llmcore::PackedWeight& weight, const std::vector<float>& x, int64_t row,
                int64_t o) {
  double sum = 0;
  for (int64_t i = 0; i < weight.in_size; ++i) {
    const int64_t group = weight.group_size > 0 ? i / weight.group_size : 0;
    const double scale = llmcore::linear_is_quantised(weight.format) ? scale_of(o, group) : 1.0f;
    sum += scale * integer(o * weight.in_size + i) *
           static_cast<double>(x[static_cast<size_t>(row * weight.in_size + i)]);
  }
  return sum;
}

// y of `rows` rows of x, in float32 or bfloat16 (returned wide); buffers of the exact size.
std::vector<float> multiply(const llmcore::PackedWeight& weight, const std::vector<float>& x,
                            const std::vector<float>& bias, int64_t rows, DType dtype, bool dot) {
  const auto size = static_cast<size_t>(rows * weight.out_size);
  std::vector<char> scratch(
      static_cast<size_t>(llmcore::cpu::linear_scratch_bytes(rows, weight.in_size)));
  std::vector<float> y(size);
  std::vector<uint16_t> x16, bias16, y16(size);
  const bool is_float = dtype == DType::kFloat32;
  for (int64_t i = 0; i < rows * weight.in_size; ++i) {
    x16.push_back(to_bfloat16(x[static_cast<size_t>(i)]));
  }
  for (float value : bias) bias16.push_back(to_bfloat16(value));
  const void* bias_data = is_float ? static_cast<const void*>(bias.data()) : bias16.data();
  const std::vector<float> own_x(x.begin(), x.begin() + rows * weight.in_size);
  llmcore::cpu::linear({.x = is_float ? static_cast<const void*>(own_x.data()) : x16.data(),
                        .weight = weight,
                        .bias = bias.empty() ? nullptr : bias_data,
                        .y = is_float ? static_cast<void*>(y.data()) : y16.data(),
                        .scratch = scratch.empty() ? nullptr : scratch.data(),
                        .rows = rows,
                        .dtype = dtype,
                        .bfloat16_dot = dot},
                       kThreads);
  if (!is_float) {
    for (size_t i = 0; i < size; ++i) y[i] = from_bfloat16(y16[i]);
  }
  return y;
}

void test_shape(WeightFormat format, int64_t group_size, int64_t rows, int64_t in_size,
                int64_t out_size) {
  const Packed packed = pack(format, in_size, out_size, group_size);
  std::vector<float> x(static_cast<size_t>(rows * in_size)), bias(static_cast<size_t>(out_size));
  for (size_t i = 0; i < x.size(); ++i) {
    x[i] = static_cast<float>(integer(static_cast<int64_t>(i) + 3)) / 8;
  }
  for (size_t i = 0; i < bias.size(); ++i) bias[i] = static_cast<float>(i % 5);
  // Every product and sum below is exact in float32, so all orders agree.
  const std::vector<float> y = multiply(packed.view, x, bias, rows, DType::kFloat32, true);
  const std::vector<float> narrow = multiply(packed.view, x, {}, rows, DType::kBFloat16, false);
  const std::vector<float> dot = multiply(packed.view, x, {}, rows, DType::kBFloat16, true);
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t o = 0; o < out_size; ++o) {
      const double exact = expected(packed.view, x, r, o);
      const auto at = static_cast<size_t>(r * out_size + o);
      EXPECT(y[at] == static_cast<float>(exact + bias[static_cast<size_t>(o)]));
      EXPECT(std::abs(narrow[at] - exact) <= std::abs(exact) / 256);
      EXPECT(narrow[at] == dot[at]);
    }
  }
}

void test_plan() {
  for (int64_t tile_rows : {6, 12}) {
    for (int64_t rows : {1, 6, 7, 191, 193, 385, 5000}) {
      const llmcore::cpu::LinearPlan plan = llmcore::cpu::linear_plan(rows, 3000, tile_rows);
      EXPECT(plan.tile_begin(0) == 0 && plan.tile_begin(plan.num_tiles) == rows);
      const int64_t scratch = llmcore::cpu::linear_scratch_bytes(rows, 3000);
      for (int64_t tile = 0; tile < plan.num_tiles; ++tile) {
        const int64_t size = plan.tile_begin(tile + 1) - plan.tile_begin(tile);
        EXPECT(size > 0 && size <= tile_rows);
      }
      for (int64_t pass = 0; pass < plan.num_passes; ++pass) {
        const int64_t first = plan.tile_begin(plan.block_begin(plan.pass_begin(pass)));
        const int64_t last = plan.tile_begin(plan.block_begin(plan.pass_begin(pass + 1)));
        EXPECT(last > first);
        const int64_t stack = llmcore::cpu::kStackInputBytes;
        EXPECT((last - first) * 3000 * 4 <= (scratch > 0 ? scratch : stack));
      }
      for (int64_t block = 0; block < plan.num_blocks; ++block) {
        const int64_t first = plan.tile_begin(plan.block_begin(block));
        const int64_t last = plan.tile_begin(plan.block_begin(block + 1));
        EXPECT(last > first && last - first <= llmcore::cpu::kMaxBlockRows);
      }
    }
  }
}

}  // namespace

int main() {
  try {
    std::printf("isa %s\n", llmcore::cpu::isa_in_use());
  } catch (const std::runtime_error& error) {
    std::printf("skipped: %s\n", error.what());
    return 77;
  }
  test_plan();
  for (int64_t rows : {1, 2, 3, 5, 6, 7, 13, 40, 200}) {
    for (int64_t in_size : {1, 7, 33, 130, 300}) {
      for (int64_t out_size : {1, 70}) {
        test_shape(WeightFormat::kFloat32, 0, rows, in_size, out_size);
        test_shape(WeightFormat::kBFloat16, 0, rows, in_size, out_size);
        test_shape(WeightFormat::kInt8, 0, rows, in_size, out_size);
        test_shape(WeightFormat::kInt8, 64, rows, in_size, out_size);
        test_shape(WeightFormat::kInt4, 32, rows, in_size, out_size);
        test_shape(WeightFormat::kInt4, 128, rows, in_size, out_size);
      }
    }
  }
  num_threads = 3;
  test_shape(WeightFormat::kFloat32, 0, 900, 2500, 65);  // several passes
  test_shape(WeightFormat::kInt4, 32, 1, 640, 500);      // several tasks of one row
  return llmcore::test::num_failed != 0;
}
