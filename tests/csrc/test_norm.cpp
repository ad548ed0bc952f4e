// rms_norm and layer_norm kernels, with and without a residual, on exact-size heap buffers with
// real threads, against a double loop: what a sanitizer needs to see. Accuracy to the last place is
// tests/ops' matter. Also rows written around the cache (row_output.h) from several starts in a
// line.
#include <cmath>
#include <cstdio>
#include <cstring>
#include <stdexcept>
#include <thread>
#include <vector>

#include "cpu/kernel_table.h"
#include "cpu/tuning.h"
#include "expect.h"

namespace {

using llmcore::DType;

void run_parallel(int64_t begin, int64_t end, int64_t grain, llmcore::ParallelFor::Body body,
                  void* context) {
  const int64_t quarter = (end - begin + 3) / 4, step = quarter > grain ? quarter : grain;
  std::vector<std::thread> workers;
  for (int64_t at = begin; at < end; at += step) {
    workers.emplace_back(body, at, at + step < end ? at + step : end, context);
  }
  for (std::thread& worker : workers) worker.join();
}

constexpr llmcore::ParallelFor kThreads{run_parallel};
constexpr float kEps = 1e-5f;

float number(int64_t i) {
  return std::sin(0.37f * static_cast<float>(i) + 0.1f);
}

std::vector<float> numbers(int64_t count, int64_t shift) {
  std::vector<float> values(static_cast<size_t>(count));
  for (int64_t i = 0; i < count; ++i) values[static_cast<size_t>(i)] = number(i + shift);
  return values;
}

bool close(float got, double expected) {
  return std::abs(got - expected) < 2e-4 * (1 + std::abs(expected));
}

bool all_close(const std::vector<float>& got, const std::vector<double>& expected) {
  bool good = got.size() == expected.size();
  for (size_t i = 0; good && i < got.size(); ++i) good = close(got[i], expected[i]);
  return good;
}

// What one call is given, and in double what it must give.
struct Problem {
  int64_t rows, cols, rms_cols;
  bool centres;  // layer_norm
  double offset, scale;
  std::vector<float> x, residual, dy, dh, weight, bias;
  std::vector<double> h, y, dx, dresidual, dweight, dbias;
};

struct RowSums {
  double mean, r, g, gu;
};

RowSums sums_of(const Problem& p, int64_t n) {
  const auto at = [&](int64_t c) { return static_cast<size_t>(n * p.cols + c); };
  const double count = static_cast<double>(p.cols), counted = static_cast<double>(p.rms_cols);
  double mean = 0, squares = 0, g = 0, gu = 0;
  for (int64_t c = 0; p.centres && c < p.cols; ++c) mean += p.h[at(c)] / count;
  for (int64_t c = 0; c < p.rms_cols; ++c) squares += std::pow(p.h[at(c)] - mean, 2) / counted;
  const double r = 1 / std::sqrt(squares + kEps);
  for (int64_t c = 0; c < p.cols; ++c) {
    const double slope = p.dy[at(c)] * (p.offset + p.weight[static_cast<size_t>(c)]);
    g += p.centres ? slope / count : 0;
    gu += slope * (p.h[at(c)] - mean) * r / counted;
  }
  return {mean, r, g, gu};
}

void solve(Problem& p) {
  const auto size = static_cast<size_t>(p.rows * p.cols), width = static_cast<size_t>(p.cols);
  p.h.resize(size), p.y.resize(size), p.dx.resize(size), p.dresidual.resize(size);
  p.dweight.assign(width, 0), p.dbias.assign(width, 0);
  for (size_t i = 0; i < size; ++i) {
    p.h[i] = static_cast<float>(p.x[i] + p.scale * (p.residual.empty() ? 0.0f : p.residual[i]));
  }
  for (int64_t n = 0; n < p.rows; ++n) {
    const RowSums sums = sums_of(p, n);
    for (int64_t c = 0; c < p.cols; ++c) {
      const auto at = static_cast<size_t>(n * p.cols + c), col = static_cast<size_t>(c);
      const double u = (p.h[at] - sums.mean) * sums.r, gain = p.offset + p.weight[col];
      const double pull = c < p.rms_cols ? u * sums.gu : 0.0;
      p.y[at] = u * gain + (p.centres ? p.bias[col] : 0.0f);
      p.dx[at] = sums.r * (p.dy[at] * gain - sums.g - pull) + (p.dh.empty() ? 0.0f : p.dh[at]);
      p.dresidual[at] = p.scale * p.dx[at];
      p.dweight[col] += p.dy[at] * u;
      p.dbias[col] += p.dy[at];
    }
  }
}

Problem problem(int64_t rows, int64_t cols, bool centres, bool adds, int64_t rms_cols,
                double offset) {
  Problem p{.rows = rows,
            .cols = cols,
            .rms_cols = rms_cols,
            .centres = centres,
            .offset = offset,
            .scale = adds ? 1.7 : 1.0,
            .x = numbers(rows * cols, 0),
            .residual = {},
            .dy = numbers(rows * cols, 5),
            .dh = {},
            .weight = numbers(cols, 9),
            .bias = numbers(cols, 11),
            .h = {},
            .y = {},
            .dx = {},
            .dresidual = {},
            .dweight = {},
            .dbias = {}};
  if (adds) p.residual = numbers(rows * cols, 21), p.dh = numbers(rows * cols, 33);
  solve(p);
  return p;
}

// The kernels' outputs, exactly as large as they must be.
struct Outputs {
  explicit Outputs(const Problem& p)
      : h(p.x.size()),
        y(p.x.size()),
        dx(p.x.size()),
        dresidual(p.x.size()),
        dweight(p.weight.size()),
        dbias(p.weight.size()),
        partials(static_cast<size_t>(llmcore::cpu::norm_num_partials(p.rows) * 2 *
                                     llmcore::cpu::norm_padded_cols(p.cols))) {}
  std::vector<float> h, y, dx, dresidual, dweight, dbias, partials;
};

void run_rms_norm(const Problem& p, Outputs& out) {
  const bool adds = !p.residual.empty();
  llmcore::cpu::rms_norm({.x = p.x.data(),
                          .weight = p.weight.data(),
                          .y = out.y.data(),
                          .rows = p.rows,
                          .cols = p.cols,
                          .eps = kEps,
                          .dtype = DType::kFloat32,
                          .offset = static_cast<float>(p.offset),
                          .rms_cols = p.rms_cols == p.cols ? -1 : p.rms_cols,
                          .residual = adds ? p.residual.data() : nullptr,
                          .h = adds ? out.h.data() : nullptr,
                          .residual_scale = static_cast<float>(p.scale)},
                         kThreads);
  llmcore::cpu::rms_norm_backward({.dy = p.dy.data(),
                                   .x = adds ? out.h.data() : p.x.data(),
                                   .weight = p.weight.data(),
                                   .dx = out.dx.data(),
                                   .dweight = out.dweight.data(),
                                   .partials = out.partials.data(),
                                   .num_partials = llmcore::cpu::norm_num_partials(p.rows),
                                   .rows = p.rows,
                                   .cols = p.cols,
                                   .eps = kEps,
                                   .dtype = DType::kFloat32,
                                   .offset = static_cast<float>(p.offset),
                                   .rms_cols = p.rms_cols == p.cols ? -1 : p.rms_cols,
                                   .dh = adds ? p.dh.data() : nullptr,
                                   .dresidual = adds ? out.dresidual.data() : nullptr,
                                   .residual_scale = static_cast<float>(p.scale)},
                                  kThreads);
}

void run_layer_norm(const Problem& p, Outputs& out) {
  const bool adds = !p.residual.empty();
  llmcore::cpu::layer_norm({.x = p.x.data(),
                            .weight = p.weight.data(),
                            .bias = p.bias.data(),
                            .y = out.y.data(),
                            .rows = p.rows,
                            .cols = p.cols,
                            .eps = kEps,
                            .dtype = DType::kFloat32,
                            .residual = adds ? p.residual.data() : nullptr,
                            .h = adds ? out.h.data() : nullptr,
                            .residual_scale = static_cast<float>(p.scale)},
                           kThreads);
  llmcore::cpu::layer_norm_backward({.dy = p.dy.data(),
                                     .x = adds ? out.h.data() : p.x.data(),
                                     .weight = p.weight.data(),
                                     .dx = out.dx.data(),
                                     .dweight = out.dweight.data(),
                                     .dbias = out.dbias.data(),
                                     .partials = out.partials.data(),
                                     .num_partials = llmcore::cpu::norm_num_partials(p.rows),
                                     .rows = p.rows,
                                     .cols = p.cols,
                                     .eps = kEps,
                                     .dtype = DType::kFloat32,
                                     .dh = adds ? p.dh.data() : nullptr,
                                     .dresidual = adds ? out.dresidual.data() : nullptr,
                                     .residual_scale = static_cast<float>(p.scale)},
                                    kThreads);
}

void test_float32(const Problem& p) {
  Outputs out(p);
  p.centres ? run_layer_norm(p, out) : run_rms_norm(p, out);
  EXPECT(all_close(out.y, p.y));
  EXPECT(all_close(out.dx, p.dx));
  EXPECT(all_close(out.dweight, p.dweight));
  if (p.centres) EXPECT(all_close(out.dbias, p.dbias));
  if (p.residual.empty()) return;
  EXPECT(all_close(out.h, p.h));
  EXPECT(all_close(out.dresidual, p.dresidual));
}

// 16-bit types: in bounds, and every element the same on every width around the vector widths.
void test_half_width(DType dtype, int64_t rows, int64_t cols) {
  const auto size = static_cast<size_t>(rows * cols), width = static_cast<size_t>(cols);
  std::vector<uint16_t> x(size, 0x3C00), dy(size, 0x3C00), y(size), h(size), dx(size), dr(size),
      weight(width, 0x3C00), dweight(width), dbias(width);
  const int64_t num_partials = llmcore::cpu::norm_num_partials(rows);
  std::vector<float> partials(
      static_cast<size_t>(num_partials * 2 * llmcore::cpu::norm_padded_cols(cols)));
  llmcore::RmsNormArgs rms{x.data(), weight.data(), y.data(), rows, cols, kEps, dtype};
  rms.residual = dy.data();
  rms.h = h.data();
  llmcore::cpu::rms_norm(rms, kThreads);
  for (size_t i = 1; i < size; ++i) EXPECT(y[i] == y[0] && h[i] == h[0]);
  llmcore::RmsNormBackwardArgs back{
      dy.data(),    x.data(), weight.data(), dx.data(), dweight.data(), partials.data(),
      num_partials, rows,     cols,          kEps,      dtype};
  back.dh = h.data();
  back.dresidual = dr.data();
  back.residual_scale = 2.0f;
  llmcore::cpu::rms_norm_backward(back, kThreads);
  for (size_t i = 1; i < size; ++i) EXPECT(dx[i] == dx[0] && dr[i] == dr[0]);
  llmcore::cpu::layer_norm({x.data(), weight.data(), dy.data(), y.data(), rows, cols, kEps, dtype},
                           kThreads);
  for (size_t i = 0; i < size; ++i) EXPECT(y[i] == 0x3C00);  // a constant row gives the bias
  llmcore::cpu::layer_norm_backward(
      {dy.data(), x.data(), weight.data(), dx.data(), dweight.data(), dbias.data(), partials.data(),
       num_partials, rows, cols, kEps, dtype},
      kThreads);
  for (size_t i = 1; i < width; ++i) EXPECT(dbias[i] == dbias[0]);
}

// bfloat16 numbers, all different, against the float32 kernel on the same numbers.
void test_bfloat16_values(int64_t rows, int64_t cols) {
  const auto narrow = [](const std::vector<float>& wide) {
    std::vector<uint16_t> bits(wide.size());
    for (size_t i = 0; i < wide.size(); ++i) {
      uint32_t word;
      std::memcpy(&word, &wide[i], 4);
      bits[i] = static_cast<uint16_t>(word >> 16);
    }
    return bits;
  };
  const auto widen = [](const std::vector<uint16_t>& bits) {
    std::vector<float> wide(bits.size());
    for (size_t i = 0; i < bits.size(); ++i) {
      const uint32_t word = static_cast<uint32_t>(bits[i]) << 16;
      std::memcpy(&wide[i], &word, 4);
    }
    return wide;
  };
  const std::vector<uint16_t> x = narrow(numbers(rows * cols, 0)),
                              weight = narrow(numbers(cols, 9));
  const std::vector<float> wide_x = widen(x), wide_weight = widen(weight);
  std::vector<uint16_t> y(x.size());
  std::vector<float> expected(x.size());
  llmcore::cpu::rms_norm({x.data(), weight.data(), y.data(), rows, cols, kEps, DType::kBFloat16},
                         kThreads);
  llmcore::cpu::rms_norm(
      {wide_x.data(), wide_weight.data(), expected.data(), rows, cols, kEps, DType::kFloat32},
      kThreads);
  const std::vector<float> got = widen(y);
  bool good = true;
  for (size_t i = 0; i < got.size(); ++i) {
    good = good && std::abs(got[i] - expected[i]) <= 0.004f * std::abs(expected[i]) + 1e-6f;
  }
  EXPECT(good);
}

// Rows written around the cache: any width, from any start, and not a byte beside them.
void test_streamed(int64_t cols, size_t start) {
  const int64_t rows = llmcore::cpu::last_level_cache_bytes() / 2 / (2 * cols) + 5;
  const auto size = static_cast<size_t>(rows * cols), width = static_cast<size_t>(cols);
  std::vector<uint16_t> x(size), y(size + start + 32, 0xABCD), h(size + start + 32, 0xABCD);
  std::vector<uint16_t> weight(width, 0x3F80), small_y(width), small_h(width);
  for (size_t i = 0; i < size; ++i) x[i] = static_cast<uint16_t>(0x3F00 + i * 7 % 256);
  llmcore::RmsNormArgs args{x.data(), weight.data(), y.data() + start, rows,
                            cols,     kEps,          DType::kBFloat16};
  args.residual = x.data();
  args.h = h.data() + start;
  llmcore::cpu::rms_norm(args, kThreads);
  bool same = true;
  for (int64_t n = 0; n < rows; n += n < 40 ? 1 : 997) {
    llmcore::RmsNormArgs one = args;
    const size_t at = static_cast<size_t>(n * cols);
    one.x = one.residual = x.data() + at;
    one.y = small_y.data();
    one.h = small_h.data();
    one.rows = 1;
    llmcore::cpu::rms_norm(one, kThreads);
    same = same && std::memcmp(small_y.data(), y.data() + start + at, width * 2) == 0;
    same = same && std::memcmp(small_h.data(), h.data() + start + at, width * 2) == 0;
  }
  EXPECT(same);
  for (size_t i = 0; i < start; ++i) EXPECT(y[i] == 0xABCD && h[i] == 0xABCD);
  for (size_t i = start + size; i < y.size(); ++i) EXPECT(y[i] == 0xABCD && h[i] == 0xABCD);
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
    for (int64_t cols : {1, 3, 4, 7, 8, 9, 15, 16, 17, 31, 33, 63, 64, 65, 257, 1030}) {
      for (bool adds : {false, true}) {
        test_float32(problem(rows, cols, false, adds, cols, 1.0));
        if (cols > 1) test_float32(problem(rows, cols, true, adds, cols, 0.0));
      }
      test_float32(problem(rows, cols, false, false, (cols + 2) / 3, 0.0));
      test_half_width(DType::kBFloat16, rows, cols);
      test_half_width(DType::kFloat16, rows, cols);
      test_bfloat16_values(rows, cols);
    }
  }
  for (size_t start : {0, 1, 13, 31}) test_streamed(1001, start);
  test_streamed(5, 3);
  test_streamed(1024, 0);
  return llmcore::test::num_failed;
}
