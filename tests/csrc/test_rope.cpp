// rope kernels on exact-size heap buffers with real threads, against a double loop: both layouts,
// partial and in place, with and without positions, in the cache and around it.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <stdexcept>
#include <thread>
#include <vector>

#include "cpu/kernel_table.h"
#include "expect.h"
#include "ops/rope.h"

namespace {

using llmcore::DType;

void run_parallel(int64_t begin, int64_t end, int64_t grain, llmcore::ParallelFor::Body body,
                  void* context) {
  std::vector<std::thread> workers;
  const int64_t share = std::max(grain, (end - begin + 2) / 3);
  for (int64_t at = begin; at < end; at += share) {
    workers.emplace_back(body, at, std::min(at + share, end), context);
  }
  for (std::thread& worker : workers) worker.join();
}

constexpr llmcore::ParallelFor kThreads{run_parallel};

struct Problem {
  int64_t batch, length, heads, head_dim, pairs;
  bool interleaved, inverse, indexed;

  int64_t count() const { return batch * length * heads * head_dim; }
};

struct Tables {
  explicit Tables(const Problem& problem)
      : rows(problem.indexed ? 7 : problem.length),
        cos(static_cast<size_t>(rows * problem.pairs)),
        sin(cos.size()),
        positions(static_cast<size_t>(problem.length)) {
    for (size_t i = 0; i < cos.size(); ++i) {
      cos[i] = std::cos(0.3f * static_cast<float>(i % 977));
      sin[i] = std::sin(0.3f * static_cast<float>(i % 977));
    }
    for (size_t t = 0; t < positions.size(); ++t) {
      positions[t] = problem.indexed ? static_cast<int64_t>(t * 3 % 7) : static_cast<int64_t>(t);
    }
  }
  int64_t rows;
  std::vector<float> cos, sin;
  std::vector<int64_t> positions;
};

void rotate(const Problem& problem, const Tables& tables, DType dtype, const void* x, void* y) {
  const int64_t token = problem.heads * problem.head_dim;
  llmcore::cpu::rope({.x = x,
                      .y = y,
                      .batch = problem.batch,
                      .length = problem.length,
                      .heads = problem.heads,
                      .head_dim = problem.head_dim,
                      .x_batch = problem.length * token,
                      .x_token = token,
                      .x_head = problem.head_dim,
                      .y_batch = problem.length * token,
                      .y_token = token,
                      .y_head = problem.head_dim,
                      .cos = {tables.cos.data(), 0, problem.pairs},
                      .sin = {tables.sin.data(), 0, problem.pairs},
                      .pairs = problem.pairs,
                      .positions = problem.indexed ? tables.positions.data() : nullptr,
                      .position_batch = 0,
                      .position_token = 1,
                      .interleaved = problem.interleaved,
                      .inverse = problem.inverse,
                      .dtype = dtype},
                     kThreads);
}

double expected(const Problem& problem, const Tables& tables, const std::vector<float>& x,
                int64_t at) {
  const int64_t channel = at % problem.head_dim, head = at - channel;
  const int64_t t = at / (problem.head_dim * problem.heads) % problem.length;
  if (channel >= 2 * problem.pairs) return x[static_cast<size_t>(at)];
  const int64_t pair = problem.interleaved ? channel / 2 : channel % problem.pairs;
  const bool second = problem.interleaved ? channel % 2 == 1 : channel >= problem.pairs;
  const int64_t a = problem.interleaved ? 2 * pair : pair;
  const int64_t b = problem.interleaved ? 2 * pair + 1 : pair + problem.pairs;
  const int64_t row = tables.positions[static_cast<size_t>(t)];
  const double c = tables.cos[static_cast<size_t>(row * problem.pairs + pair)];
  const double s =
      tables.sin[static_cast<size_t>(row * problem.pairs + pair)] * (problem.inverse ? -1.0 : 1.0);
  const double x_a = x[static_cast<size_t>(head + a)], x_b = x[static_cast<size_t>(head + b)];
  return second ? x_b * c + x_a * s : x_a * c - x_b * s;
}

void test_float32(const Problem& problem) {
  const auto count = static_cast<size_t>(problem.count());
  const Tables tables(problem);
  std::vector<float> x(count), y(count);
  for (size_t i = 0; i < count; ++i) x[i] = static_cast<float>(i * 37 % 1009) / 500.0f - 1.0f;
  rotate(problem, tables, DType::kFloat32, x.data(), y.data());
  const int64_t step = problem.count() > 1'000'000 ? 101 : 1;
  double worst = 0;
  for (int64_t i = 0; i < problem.count(); i += step) {
    const double error = std::abs(y[static_cast<size_t>(i)] - expected(problem, tables, x, i));
    if (!(error <= worst)) worst = error;
  }
  EXPECT(worst < 1e-6);
  std::vector<float> in_place = x;
  rotate(problem, tables, DType::kFloat32, in_place.data(), in_place.data());
  EXPECT(in_place == y);
}

// 16-bit types: in bounds, and the same in place.
void test_half_width(const Problem& problem, DType dtype) {
  const auto count = static_cast<size_t>(problem.count());
  const Tables tables(problem);
  std::vector<uint16_t> x(count), y(count);
  for (size_t i = 0; i < count; ++i) x[i] = static_cast<uint16_t>(0x3800 + i * 37 % 1009);
  rotate(problem, tables, dtype, x.data(), y.data());
  std::vector<uint16_t> in_place = x;
  rotate(problem, tables, dtype, in_place.data(), in_place.data());
  EXPECT(in_place == y);
}

}  // namespace

int main() {
  try {
    std::printf("isa %s\n", llmcore::cpu::isa_in_use());
  } catch (const std::runtime_error& error) {
    std::printf("skipped: %s\n", error.what());
    return 77;
  }
  for (const bool interleaved : {false, true}) {
    for (const int64_t head_dim : {2, 6, 8, 16, 30, 32, 34, 62, 64, 80, 96, 128, 130, 256}) {
      for (const int64_t pairs : {head_dim / 2, head_dim / 4}) {
        if (pairs == 0) continue;
        const bool flag = pairs == head_dim / 2;
        const Problem problem{2, 5, 3, head_dim, pairs, interleaved, flag, !flag};
        test_float32(problem);
        test_half_width(problem, DType::kBFloat16);
        test_half_width(problem, DType::kFloat16);
      }
    }
    // Above half of the last-level cache: whole registers, then a stage of any width.
    test_float32({1, 20'000, 7, 64, 32, interleaved, false, true});
    test_float32({1, 20'000, 7, 58, 17, interleaved, true, true});
    test_half_width({1, 40'000, 7, 64, 32, interleaved, false, true}, DType::kBFloat16);
    test_half_width({1, 40'000, 7, 58, 29, interleaved, false, true}, DType::kBFloat16);
    test_half_width({1, 2'000, 3, 3000, 1500, interleaved, false, true}, DType::kBFloat16);
  }
  return llmcore::test::num_failed;
}
