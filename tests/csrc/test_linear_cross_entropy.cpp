// linear_cross_entropy kernels on exact-size heap buffers with real threads, against double loops:
// what a sanitizer needs to see. Accuracy to the last place is tests/ops' matter.
#include <cmath>
#include <cstdio>
#include <cstring>
#include <stdexcept>
#include <thread>
#include <vector>

#include "cpu/kernel_table.h"
#include "cpu/linear_cross_entropy_plan.h"
#include "expect.h"

namespace {

void run_parallel(int64_t begin, int64_t end, int64_t grain, llmcore::ParallelFor::Body body,
                  void* context) {
  std::vector<std::thread> workers;
  const int64_t share = (end - begin) / 3 > grain ? (end - begin) / 3 : grain;
  for (int64_t at = begin; at < end; at += share) {
    workers.emplace_back(body, at, at + share < end ? at + share : end, context);
  }
  for (std::thread& worker : workers) worker.join();
}

void run_serial(int64_t begin, int64_t end, int64_t, llmcore::ParallelFor::Body body,
                void* context) {
  if (begin < end) body(begin, end, context);
}

constexpr int64_t kIgnored = -100;

// Exact in bfloat16.
float number(int64_t i) {
  return static_cast<float>(static_cast<int>(4.0f * std::sin(0.37f * static_cast<float>(i)))) / 4;
}

struct Problem {
  Problem(int64_t num_rows, int64_t num_channels, int64_t num_vocab, llmcore::DType type)
      : rows(num_rows), width(num_channels), vocab(num_vocab), dtype(type) {
    for (int64_t i = 0; i < rows * width; ++i) hidden.push_back(number(i));
    for (int64_t i = 0; i < vocab * width; ++i) weight.push_back(number(3 * i + 1));
    for (int64_t i = 0; i < vocab; ++i) bias.push_back(number(i + 2));
    for (int64_t n = 0; n < rows; ++n) {
      labels.push_back(n % 5 == 4 ? kIgnored : n * 7 % vocab);
      dlosses.push_back(number(n + 1) + 0.5f);
    }
  }

  std::vector<char> stored(const std::vector<float>& values) const {
    const auto size = static_cast<size_t>(llmcore::element_size(dtype));
    std::vector<char> bytes(values.size() * size);
    for (size_t i = 0; i < values.size(); ++i) {
      // The upper half of a float32 on a little-endian machine.
      std::memcpy(bytes.data() + i * size,
                  reinterpret_cast<const char*>(&values[i]) + sizeof(float) - size, size);
    }
    return bytes;
  }

  std::vector<float> loaded(const std::vector<char>& bytes) const {
    const auto size = static_cast<size_t>(llmcore::element_size(dtype));
    std::vector<float> values(bytes.size() / size, 0.0f);
    for (size_t i = 0; i < values.size(); ++i) {
      std::memcpy(reinterpret_cast<char*>(&values[i]) + sizeof(float) - size,
                  bytes.data() + i * size, size);
    }
    return values;
  }

  // losses, dhidden, dweight, dbias
  std::vector<std::vector<float>> run(llmcore::ParallelFor::Run threads) const {
    const auto plan = llmcore::cpu::lce_plan(rows, width, vocab);
    const std::vector<char> x = stored(hidden), w = stored(weight), b = stored(bias);
    std::vector<char> dx(x.size()), dw(w.size());
    std::vector<char> scratch(static_cast<size_t>(llmcore::cpu::lce_layout(plan, dtype).total),
                              0x7F);
    std::vector<float> losses(labels.size()), dbias(bias.size());
    llmcore::cpu::linear_cross_entropy(
        {x.data(), w.data(), b.data(), labels.data(), dlosses.data(), losses.data(), dx.data(),
         dw.data(), dbias.data(), scratch.data(), rows, width, vocab, kIgnored, 0.1f, 1e-3f, 0.0f,
         dtype, true},
        {threads});
    return {losses, loaded(dx), loaded(dw), dbias};
  }

  int64_t rows, width, vocab;
  llmcore::DType dtype;
  std::vector<float> hidden, weight, bias, dlosses;
  std::vector<int64_t> labels;
};

std::vector<std::vector<double>> expected(const Problem& p) {
  const auto at = [](int64_t i) { return static_cast<size_t>(i); };
  std::vector<double> losses(at(p.rows)), dx(at(p.rows * p.width)), dw(at(p.vocab * p.width)),
      db(at(p.vocab)), z(at(p.vocab));
  for (int64_t n = 0; n < p.rows; ++n) {
    if (p.labels[at(n)] == kIgnored) continue;
    double sum = 0, mean = 0;
    for (int64_t v = 0; v < p.vocab; ++v) {
      z[at(v)] = p.bias[at(v)];
      for (int64_t c = 0; c < p.width; ++c) {
        z[at(v)] +=
            static_cast<double>(p.hidden[at(n * p.width + c)]) * p.weight[at(v * p.width + c)];
      }
      sum += std::exp(z[at(v)]);
      mean += z[at(v)] / static_cast<double>(p.vocab);
    }
    const double lse = std::log(sum);
    losses[at(n)] = 0.9 * (lse - z[at(p.labels[at(n)])]) + 0.1 * (lse - mean) + 1e-3 * lse * lse;
    for (int64_t v = 0; v < p.vocab; ++v) {
      const double hit = v == p.labels[at(n)] ? 0.9 : 0.0;
      const double dz = p.dlosses[at(n)] * ((1 + 2e-3 * lse) * std::exp(z[at(v)] - lse) -
                                            0.1 / static_cast<double>(p.vocab) - hit);
      db[at(v)] += dz;
      for (int64_t c = 0; c < p.width; ++c) {
        dx[at(n * p.width + c)] += dz * p.weight[at(v * p.width + c)];
        dw[at(v * p.width + c)] += dz * p.hidden[at(n * p.width + c)];
      }
    }
  }
  return {losses, dx, dw, db};
}

void test_shape(int64_t rows, int64_t width, int64_t vocab, llmcore::DType dtype) {
  const Problem problem(rows, width, vocab, dtype);
  const auto found = problem.run(run_parallel), serial = problem.run(run_serial);
  const auto truth = expected(problem);
  const double tolerance = dtype == llmcore::DType::kFloat32 ? 1e-4 : 5e-2;
  for (size_t i = 0; i < truth.size(); ++i) {
    double largest = 1;
    for (const double value : truth[i]) largest = std::max(largest, std::abs(value));
    for (size_t j = 0; j < truth[i].size(); ++j) {
      EXPECT(std::abs(found[i][j] - truth[i][j]) <= tolerance * largest);
      EXPECT(found[i][j] == serial[i][j]);
    }
  }
}

void test_plan() {
  for (int64_t rows : {1, 255, 257, 1000, 1025, 65537}) {
    for (int64_t vocab : {1, 95, 97, 1000, 128256}) {
      const auto plan = llmcore::cpu::lce_plan(rows, 512, vocab);
      EXPECT(plan.chunk_rows % llmcore::cpu::kLceBlock == 0);
      EXPECT((rows + plan.chunk_rows - 1) / plan.chunk_rows <= llmcore::cpu::kLceMaxChunks);
      EXPECT(plan.num_groups <= plan.num_slices && plan.slice_begin(plan.num_slices) == vocab);
      for (int64_t slice = 0; slice < plan.num_slices; ++slice) {
        const int64_t size = plan.slice_begin(slice + 1) - plan.slice_begin(slice);
        EXPECT(size >= 0 && size <= llmcore::cpu::kLceSliceRows);
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
  for (const llmcore::DType dtype : {llmcore::DType::kFloat32, llmcore::DType::kBFloat16}) {
    test_shape(1, 1, 1, dtype);
    test_shape(3, 5, 7, dtype);
    test_shape(65, 17, 97, dtype);
    test_shape(130, 131, 33, dtype);
    test_shape(300, 66, 400, dtype);
    test_shape(1100, 9, 21, dtype);
  }
  return llmcore::test::num_failed;
}
