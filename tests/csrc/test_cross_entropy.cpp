// cross_entropy kernels on exact-size heap buffers with real threads, against a double loop: what a
// sanitizer needs to see. Accuracy to the last place is tests/ops' matter.
#include <cmath>
#include <cstdio>
#include <limits>
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

constexpr llmcore::ParallelFor kThreads{run_parallel};
constexpr int64_t kIgnored = -100;

float number(int64_t i) {
  return 3.0f * std::sin(0.37f * static_cast<float>(i) + 0.1f);
}

struct Options {
  float smoothing;
  float z_loss;
  float softcap;
};

struct Rows {
  Rows(int64_t num_rows, int64_t num_cols)
      : rows(num_rows),
        cols(num_cols),
        logits(static_cast<size_t>(rows * cols)),
        labels(static_cast<size_t>(rows)),
        losses(static_cast<size_t>(rows)),
        lse(static_cast<size_t>(rows)),
        dlosses(static_cast<size_t>(rows)),
        dlogits(static_cast<size_t>(rows * cols)) {
    for (size_t i = 0; i < logits.size(); ++i) logits[i] = number(static_cast<int64_t>(i));
    for (size_t n = 0; n < labels.size(); ++n) {
      labels[n] = n % 3 == 2 ? kIgnored : static_cast<int64_t>(n) * 7 % cols;
      dlosses[n] = number(static_cast<int64_t>(n) + 5);
    }
  }

  void run(const Options& options) {
    llmcore::cpu::cross_entropy(
        {logits.data(), labels.data(), losses.data(), lse.data(), rows, cols, cols, kIgnored,
         options.smoothing, options.z_loss, options.softcap, llmcore::DType::kFloat32},
        kThreads);
    llmcore::cpu::cross_entropy_backward(
        {dlosses.data(), logits.data(), labels.data(), lse.data(), dlogits.data(), rows, cols, cols,
         cols, 0, cols, kIgnored, options.smoothing, options.z_loss, options.softcap,
         llmcore::DType::kFloat32},
        kThreads);
  }

  int64_t rows, cols;
  std::vector<float> logits;
  std::vector<int64_t> labels;
  std::vector<float> losses, lse, dlosses, dlogits;
};

bool close(float got, double expected) {
  return std::abs(got - expected) < 1e-4 * (1 + std::abs(expected));
}

void expect_row(const Rows& found, int64_t n, const Options& options) {
  const auto at = [&](int64_t v) { return static_cast<size_t>(n * found.cols + v); };
  const auto row = static_cast<size_t>(n);
  if (found.labels[row] == kIgnored) {
    EXPECT(found.losses[row] == 0.0f);
    for (int64_t v = 0; v < found.cols; ++v) EXPECT(found.dlogits[at(v)] == 0.0f);
    return;
  }
  const double cap = options.softcap, e = options.smoothing, z = options.z_loss;
  const auto capped = [&](int64_t v) {
    const double x = found.logits[at(v)];
    return cap > 0 ? cap * std::tanh(x / cap) : x;
  };
  double sum = 0, mean = 0;
  for (int64_t v = 0; v < found.cols; ++v) sum += std::exp(capped(v));
  for (int64_t v = 0; v < found.cols; ++v) mean += capped(v) / static_cast<double>(found.cols);
  const double lse = std::log(sum);
  const double loss =
      (1 - e) * (lse - capped(found.labels[row])) + e * (lse - mean) + z * lse * lse;
  EXPECT(close(found.losses[row], loss));
  for (int64_t v = 0; v < found.cols; ++v) {
    const double hit = v == found.labels[row] ? 1 - e : 0;
    const double slope = cap > 0 ? 1 - capped(v) * capped(v) / (cap * cap) : 1;
    const double dz =
        (1 + 2 * z * lse) * std::exp(capped(v) - lse) - e / static_cast<double>(found.cols) - hit;
    EXPECT(close(found.dlogits[at(v)], found.dlosses[row] * dz * slope));
  }
}

void test_float32(int64_t rows, int64_t cols, const Options& options) {
  Rows found(rows, cols);
  found.run(options);
  for (int64_t n = 0; n < rows; ++n) expect_row(found, n, options);
  // In place, over two slices of the columns: the same to the bit.
  std::vector<float> changed = found.logits;
  for (const auto& [first, past] : {std::pair{int64_t{0}, cols / 2}, std::pair{cols / 2, cols}}) {
    llmcore::cpu::cross_entropy_backward(
        {found.dlosses.data(), changed.data() + first, found.labels.data(), found.lse.data(),
         changed.data() + first, rows, past - first, cols, cols, first, cols, kIgnored,
         options.smoothing, options.z_loss, options.softcap, llmcore::DType::kFloat32},
        kThreads);
  }
  for (size_t i = 0; i < changed.size(); ++i) EXPECT(changed[i] == found.dlogits[i]);
}

// 16-bit types: in bounds, and equal logits give equal losses, on widths around the vector widths.
void test_half_width(llmcore::DType dtype, int64_t rows, int64_t cols) {
  const auto size = static_cast<size_t>(rows * cols), count = static_cast<size_t>(rows);
  std::vector<uint16_t> logits(size, 0x3C00), dlogits(size);
  std::vector<int64_t> labels(count, cols - 1);
  std::vector<float> losses(count), lse(count), dlosses(count, 1.0f);
  llmcore::cpu::cross_entropy({logits.data(), labels.data(), losses.data(), lse.data(), rows, cols,
                               cols, kIgnored, 0.1f, 0.0f, 0.0f, dtype},
                              kThreads);
  llmcore::cpu::cross_entropy_backward(
      {dlosses.data(), logits.data(), labels.data(), lse.data(), dlogits.data(), rows, cols, cols,
       cols, 0, cols, kIgnored, 0.1f, 0.0f, 0.0f, dtype},
      kThreads);
  for (size_t n = 0; n < count; ++n) EXPECT(close(losses[n], std::log(static_cast<double>(cols))));
}

void test_broken_rows() {
  Rows found(3, 37);
  const float infinity = std::numeric_limits<float>::infinity();
  found.labels = {1, 1, 1};
  for (size_t v = 0; v < 37; ++v) found.logits[v] = -infinity;
  found.logits[37 + 9] = std::numeric_limits<float>::quiet_NaN();
  found.logits[74 + 9] = infinity;
  found.run({0.0f, 0.0f, 0.0f});
  EXPECT(std::isnan(found.losses[0]));
  EXPECT(std::isnan(found.losses[1]));
  EXPECT(found.losses[2] == infinity);
}

}  // namespace

int main() {
  try {
    std::printf("isa %s\n", llmcore::cpu::isa_in_use());
  } catch (const std::runtime_error& error) {
    std::printf("skipped: %s\n", error.what());
    return 77;
  }
  for (int64_t cols : {1, 3, 4, 15, 16, 17, 63, 64, 65, 257, 1024, 1025, 2060}) {
    for (const Options& options :
         {Options{0.0f, 0.0f, 0.0f}, Options{0.1f, 0.0f, 0.0f}, Options{0.1f, 1e-2f, 2.0f}}) {
      test_float32(7, cols, options);
    }
    test_half_width(llmcore::DType::kBFloat16, 9, cols);
    test_half_width(llmcore::DType::kFloat16, 9, cols);
  }
  test_float32(700, 7, {0.1f, 0.0f, 0.0f});
  test_broken_rows();
  return llmcore::test::num_failed;
}
