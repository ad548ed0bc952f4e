// rms_norm kernels on exact-size heap buffers with real threads, against a double loop: what a
// sanitizer needs to see. Accuracy to the last place is tests/ops' matter.
#include <cmath>
#include <cstdio>
#include <stdexcept>
#include <thread>
#include <vector>

#include "cpu/kernel_table.h"
#include "expect.h"

namespace {

void run_parallel(int64_t begin, int64_t end, int64_t grain, llmcore::ParallelFor::Body body,
                  void* context) {
  std::vector<std::thread> workers;
  for (int64_t at = begin; at < end; at += grain) {
    workers.emplace_back(body, at, at + grain < end ? at + grain : end, context);
  }
  for (std::thread& worker : workers) worker.join();
}

float number(int64_t i) {
  return std::sin(0.37f * static_cast<float>(i) + 0.1f);
}

bool close(float got, double expected) {
  return std::abs(got - expected) < 1e-4;
}

void test_float32(int64_t rows, int64_t cols) {
  const auto size = static_cast<size_t>(rows * cols), width = static_cast<size_t>(cols);
  std::vector<float> x(size), dy(size), y(size), dx(size), weight(width), dweight(width);
  for (size_t i = 0; i < size; ++i) x[i] = number(static_cast<int64_t>(i));
  for (size_t i = 0; i < size; ++i) dy[i] = number(static_cast<int64_t>(i) + 5);
  for (size_t i = 0; i < width; ++i) weight[i] = number(static_cast<int64_t>(i) + 9);
  const int64_t num_partials = llmcore::cpu::rms_norm_num_partials(rows);
  std::vector<float> partials(static_cast<size_t>(num_partials) * width);
  const llmcore::ParallelFor threads{run_parallel};
  const auto dtype = llmcore::DType::kFloat32;
  llmcore::cpu::rms_norm({x.data(), weight.data(), y.data(), rows, cols, 1e-6f, dtype}, threads);
  llmcore::cpu::rms_norm_backward({dy.data(), x.data(), weight.data(), dx.data(), dweight.data(),
                                   partials.data(), num_partials, rows, cols, 1e-6f, dtype},
                                  threads);
  std::vector<double> expected_dweight(width);
  for (int64_t n = 0; n < rows; ++n) {
    double squares = 0, gx = 0;
    const auto at = [&](int64_t c) { return static_cast<size_t>(n * cols + c); };
    for (int64_t c = 0; c < cols; ++c) {
      const double v = x[at(c)];
      squares += v * v;
      gx += static_cast<double>(dy[at(c)]) * weight[static_cast<size_t>(c)] * v;
    }
    const double mean = 1.0 / static_cast<double>(cols);
    const double r = 1 / std::sqrt(squares * mean + 1e-6);
    for (int64_t c = 0; c < cols; ++c) {
      const double v = x[at(c)], w = weight[static_cast<size_t>(c)];
      EXPECT(close(y[at(c)], v * r * w));
      EXPECT(close(dx[at(c)], r * (dy[at(c)] * w - v * r * r * gx * mean)));
      expected_dweight[static_cast<size_t>(c)] += dy[at(c)] * v * r;
    }
  }
  for (size_t c = 0; c < width; ++c) EXPECT(close(dweight[c], expected_dweight[c]));
}

// 16-bit types: in bounds and finite on every width around the vector widths.
void test_half_width(llmcore::DType dtype, int64_t rows, int64_t cols) {
  const auto size = static_cast<size_t>(rows * cols), width = static_cast<size_t>(cols);
  std::vector<uint16_t> x(size, 0x3C00), dy(size, 0x3C00), y(size), dx(size), weight(width, 0x3C00),
      dweight(width);
  const int64_t num_partials = llmcore::cpu::rms_norm_num_partials(rows);
  std::vector<float> partials(static_cast<size_t>(num_partials) * width);
  const llmcore::ParallelFor threads{run_parallel};
  llmcore::cpu::rms_norm({x.data(), weight.data(), y.data(), rows, cols, 1e-6f, dtype}, threads);
  llmcore::cpu::rms_norm_backward({dy.data(), x.data(), weight.data(), dx.data(), dweight.data(),
                                   partials.data(), num_partials, rows, cols, 1e-6f, dtype},
                                  threads);
  for (size_t i = 1; i < size; ++i) EXPECT(y[i] == y[0]);
}

}  // namespace

int main() {
  try {
    std::printf("isa %s\n", llmcore::cpu::isa_in_use());
  } catch (const std::runtime_error& error) {
    std::printf("skipped: %s\n", error.what());
    return 77;
  }
  for (int64_t rows : {1, 9, 130}) {
    for (int64_t cols : {1, 3, 4, 15, 16, 17, 63, 64, 65, 257}) {
      test_float32(rows, cols);
      test_half_width(llmcore::DType::kBFloat16, rows, cols);
      test_half_width(llmcore::DType::kFloat16, rows, cols);
    }
  }
  return llmcore::test::num_failed;
}
