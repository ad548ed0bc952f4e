// adamw and global_norm kernels on exact-size heap buffers with real threads, against double loops:
// what a sanitizer needs to see. Accuracy to the last place is tests/ops' matter.
#include <cmath>
#include <cstdio>
#include <cstring>
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

float number(int64_t i) {
  return std::sin(0.37f * static_cast<float>(i) + 0.1f);
}

bool close(double got, double expected, double bound = 1e-5) {
  return std::abs(got - expected) < bound * (1 + std::abs(expected));
}

std::vector<float> numbers(int64_t size, int64_t from) {
  std::vector<float> found(static_cast<size_t>(size));
  for (int64_t i = 0; i < size; ++i) found[static_cast<size_t>(i)] = number(from + i);
  return found;
}

std::vector<uint16_t> rounded_down(const std::vector<float>& wide) {
  std::vector<uint16_t> found(wide.size());
  for (size_t i = 0; i < wide.size(); ++i) {
    uint32_t bits;
    std::memcpy(&bits, &wide[i], 4);
    found[i] = static_cast<uint16_t>(bits >> 16);
  }
  return found;
}

float widened(uint16_t half) {
  const uint32_t bits = static_cast<uint32_t>(half) << 16;
  float value;
  std::memcpy(&value, &bits, 4);
  return value;
}

// One tensor in float32 and one in bfloat16 with a master, of the same numbers.
struct Weights {
  explicit Weights(int64_t size)
      : param(numbers(size, 0)),
        grad(numbers(size, 7)),
        m(numbers(size, 13)),
        v(numbers(size, 19)),
        narrow(rounded_down(param)),
        narrow_grad(rounded_down(grad)),
        master(param) {
    for (float& value : v) value *= value;
    narrow_m = m;
    narrow_v = v;
  }

  std::vector<float> param, grad, m, v;
  std::vector<uint16_t> narrow, narrow_grad;
  std::vector<float> master, narrow_m, narrow_v;
};

int64_t blocks_of(int64_t numel, int64_t block) {
  return (numel + block - 1) / block;
}

void expect_step(const Weights& before, const Weights& after) {
  for (size_t i = 0; i < before.param.size(); ++i) {
    const auto stepped = [&](double w, double g) {
      const double scaled = 0.5 * g;
      const double m = before.m[i] + 0.1 * (scaled - before.m[i]);
      const double v = before.v[i] + 0.05 * (scaled * scaled - before.v[i]);
      return 0.99 * w - 0.01 * m / (1.5 * std::sqrt(v) + 1e-8);
    };
    EXPECT(close(after.param[i], stepped(before.param[i], before.grad[i])));
    const double expected = stepped(before.master[i], widened(before.narrow_grad[i]));
    EXPECT(close(after.master[i], expected));
    EXPECT(close(widened(after.narrow[i]), after.master[i], 4e-3));
  }
}

void test_step(const std::vector<int64_t>& sizes) {
  std::vector<Weights> weights;
  weights.reserve(sizes.size());
  for (const int64_t size : sizes) weights.emplace_back(size);
  const std::vector<Weights> before = weights;
  std::vector<llmcore::AdamWTensor> tensors;
  int64_t blocks = 0;
  for (Weights& w : weights) {
    const auto size = static_cast<int64_t>(w.param.size());
    tensors.push_back({w.param.data(), w.grad.data(), w.m.data(), w.v.data(), nullptr, size, blocks,
                       llmcore::DType::kFloat32});
    blocks += blocks_of(size, llmcore::kAdamWBlock);
    tensors.push_back({w.narrow.data(), w.narrow_grad.data(), w.narrow_m.data(), w.narrow_v.data(),
                       w.master.data(), size, blocks, llmcore::DType::kBFloat16});
    blocks += blocks_of(size, llmcore::kAdamWBlock);
  }
  llmcore::cpu::adamw({.tensors = tensors.data(),
                       .num_tensors = static_cast<int64_t>(tensors.size()),
                       .num_blocks = blocks,
                       .grad_scale = 0.5f,
                       .keep = 0.99f,
                       .beta1 = 0.9f,
                       .grad_share = 0.1f,
                       .beta2 = 0.95f,
                       .square_share = 0.05f,
                       .root_scale = 1.5f,
                       .step_size = 0.01f,
                       .eps = 1e-8f},
                      kThreads);
  for (size_t i = 0; i < weights.size(); ++i) expect_step(before[i], weights[i]);
}

void test_norm(const std::vector<int64_t>& sizes) {
  std::vector<std::vector<float>> data;
  std::vector<std::vector<uint16_t>> narrow;
  std::vector<llmcore::GlobalNormTensor> tensors;
  int64_t blocks = 0;
  double sum = 0;
  for (const int64_t size : sizes) {
    data.push_back(numbers(size, size));
    narrow.push_back(rounded_down(data.back()));
    tensors.push_back({data.back().data(), size, blocks, llmcore::DType::kFloat32});
    blocks += blocks_of(size, llmcore::kGlobalNormBlock);
    tensors.push_back({narrow.back().data(), size, blocks, llmcore::DType::kBFloat16});
    blocks += blocks_of(size, llmcore::kGlobalNormBlock);
    for (const float x : data.back()) sum += static_cast<double>(x) * x;
    for (const uint16_t x : narrow.back()) sum += static_cast<double>(widened(x)) * widened(x);
  }
  std::vector<double> partials(static_cast<size_t>(blocks));
  float norm = -1.0f;
  llmcore::cpu::global_norm(
      {tensors.data(), static_cast<int64_t>(tensors.size()), blocks, partials.data(), &norm},
      kThreads);
  EXPECT(close(norm, std::sqrt(sum), 1e-6));
}

}  // namespace

int main() {
  try {
    std::printf("isa %s\n", llmcore::cpu::isa_in_use());
  } catch (const std::runtime_error& error) {
    std::printf("skipped: %s\n", error.what());
    return 77;
  }
  for (int64_t size : {1, 3, 15, 16, 17, 63, 1023, 1024, 1025, 8191, 8193}) {
    test_step({size});
    test_norm({size});
  }
  test_step({0, 5, 0, 40'000, 1, 1024, 3});
  test_norm({0, 5, 0, 70'000, 1, 8192, 0});
  test_norm({});
  return llmcore::test::num_failed;
}
