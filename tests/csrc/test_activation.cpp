// Activation kernels on exact-size heap buffers with real threads, against double libm: every
// function alone and gated, packed and strided rows, in the cache and around it.
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdio>
#include <stdexcept>
#include <thread>
#include <vector>

#include "cpu/kernel_table.h"
#include "expect.h"
#include "ops/activation.h"

namespace {

using llmcore::Activation;
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

struct Truth {
  double value, slope;
  double condition = 1;  // the tanh form rounds the argument of an exponential
};

Truth truth_of(Activation function, double x) {
  const auto logistic = [](double v) { return 1 / (1 + std::exp(-v)); };
  switch (function) {
    case Activation::kSilu: {
      const double s = logistic(x);
      return {x * s, s + x * s * logistic(-x)};
    }
    case Activation::kGelu: {
      const double cdf = std::erfc(-x / std::sqrt(2.0)) / 2;
      return {x * cdf, cdf + x * std::exp(-x * x / 2) / std::sqrt(2 * std::acos(-1.0))};
    }
    case Activation::kGeluTanh: {
      const double scale = std::sqrt(8 / std::acos(-1.0));
      const double doubled = scale * (x + 0.044715 * x * x * x), s = logistic(doubled);
      const double rise = scale * (1 + 3 * 0.044715 * x * x);
      return {x * s, s + x * s * logistic(-doubled) * rise, 1 + std::abs(doubled) / 8};
    }
    default:
      return {x > 0 ? x * x : 0, x > 0 ? 2 * x : 0};
  }
}

struct Problem {
  Activation function;
  bool is_gated;
  int64_t rows, cols;
  int64_t row;  // elements from one row of the inputs to the next
};

// Numbers of [-9, 9] that float32 and bfloat16 hold exactly.
float number(size_t i) {
  return static_cast<float>(static_cast<int>(i * 73 % 289) - 144) / 16.0f;
}

template <class T>
T stored(float value) {
  if constexpr (sizeof(T) == 4) {
    return value;
  } else {
    return static_cast<uint16_t>(std::bit_cast<uint32_t>(value) >> 16);
  }
}
template <class T>
double loaded(T value) {
  if constexpr (sizeof(T) == 4) {
    return value;
  } else {
    return std::bit_cast<float>(static_cast<uint32_t>(value) << 16);
  }
}

template <class T>
void test(const Problem& problem, DType dtype) {
  const auto inputs = static_cast<size_t>((problem.rows - 1) * problem.row + problem.cols);
  const auto outputs = static_cast<size_t>(problem.rows * problem.cols);
  std::vector<T> x(inputs), up(inputs), dy(inputs), y(outputs), dx(outputs), dup(outputs);
  for (size_t i = 0; i < inputs; ++i) {
    x[i] = stored<T>(number(i));
    up[i] = stored<T>(number(i + 11) / 8);
    dy[i] = stored<T>(number(i + 23) / 8);
  }
  const llmcore::ActivationInput up_input{problem.is_gated ? up.data() : nullptr, problem.row};
  llmcore::cpu::activation({{x.data(), problem.row},
                            up_input,
                            y.data(),
                            problem.rows,
                            problem.cols,
                            problem.function,
                            dtype},
                           kThreads);
  llmcore::cpu::activation_backward({{dy.data(), problem.row},
                                     {x.data(), problem.row},
                                     up_input,
                                     dx.data(),
                                     problem.is_gated ? dup.data() : nullptr,
                                     problem.rows,
                                     problem.cols,
                                     problem.function,
                                     dtype},
                                    kThreads);
  // float32: some units of the terms' size. bfloat16: one rounding of an almost exact number.
  const bool wide = sizeof(T) == 4;
  const auto close = [&](double got, double exact, double term) {
    const double unit = wide ? 0 : std::ldexp(1.0, std::ilogb(exact == 0 ? 1 : exact) - 7);
    return std::abs(got - exact) <= 0.51 * unit + (wide ? 8e-7 : 4e-5) * std::abs(term);
  };
  bool all_close = true;
  const int64_t step = problem.rows * problem.cols > 1'000'000 ? 97 : 1;
  for (int64_t r = 0; r < problem.rows; r += step) {
    for (int64_t c = 0; c < problem.cols; ++c) {
      const auto in = static_cast<size_t>(r * problem.row + c);
      const auto out = static_cast<size_t>(r * problem.cols + c);
      const double v = loaded(x[in]), u = problem.is_gated ? loaded(up[in]) : 1;
      const double g = loaded(dy[in]);
      const Truth truth = truth_of(problem.function, v);
      const double k = truth.condition;
      const double slope_terms = u * g * (1 + std::abs(v));
      all_close = all_close && close(loaded(y[out]), truth.value * u, truth.value * u * k) &&
                  close(loaded(dx[out]), truth.slope * u * g, slope_terms);
      if (problem.is_gated) {
        all_close = all_close && close(loaded(dup[out]), truth.value * g, truth.value * g * k);
      }
    }
  }
  EXPECT(all_close);
}

void test_dtypes(const Problem& problem) {
  test<float>(problem, DType::kFloat32);
  test<uint16_t>(problem, DType::kBFloat16);
}

// float16: in bounds, finite, and equal where the inputs are.
void test_float16(const Problem& problem) {
  const auto inputs = static_cast<size_t>((problem.rows - 1) * problem.row + problem.cols);
  const auto outputs = static_cast<size_t>(problem.rows * problem.cols);
  std::vector<uint16_t> x(inputs, 0x3C00), y(outputs), dx(outputs), dup(outputs);
  const llmcore::ActivationInput input{x.data(), problem.row};
  const llmcore::ActivationInput up = problem.is_gated ? input : llmcore::ActivationInput{};
  llmcore::cpu::activation(
      {input, up, y.data(), problem.rows, problem.cols, problem.function, DType::kFloat16},
      kThreads);
  llmcore::cpu::activation_backward(
      {input, input, up, dx.data(), problem.is_gated ? dup.data() : nullptr, problem.rows,
       problem.cols, problem.function, DType::kFloat16},
      kThreads);
  for (size_t i = 1; i < outputs; ++i) EXPECT(y[i] == y[0] && dx[i] == dx[0]);
}

}  // namespace

int main() {
  try {
    std::printf("isa %s\n", llmcore::cpu::isa_in_use());
  } catch (const std::runtime_error& error) {
    std::printf("skipped: %s\n", error.what());
    return 77;
  }
  for (const Activation function :
       {Activation::kSilu, Activation::kGelu, Activation::kGeluTanh, Activation::kRelu2}) {
    for (const bool is_gated : {false, true}) {
      for (const int64_t cols : {1, 3, 7, 8, 15, 16, 17, 31, 33, 64, 257, 5000}) {
        test_dtypes({function, is_gated, 3, cols, cols});
        test_dtypes({function, is_gated, 3, cols, cols + 5});
        test_float16({function, is_gated, 3, cols, cols + 5});
      }
    }
  }
  // Above half of the last-level cache, with rows that start anywhere.
  for (const bool is_gated : {false, true}) {
    test_dtypes({Activation::kSilu, is_gated, 9'001, 1'001, 1'001});
    test_dtypes({Activation::kSilu, is_gated, 9'001, 1'001, 1'006});
  }
  return llmcore::test::num_failed;
}
