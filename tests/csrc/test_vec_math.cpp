// cpu/vec_math.h against double libm: the largest error of every function over its whole range, in
// every 997th float32 of both signs, and the special values. `test_vec_math 1` takes every float32
// (minutes) and prints what was found.
#include <bit>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <stdexcept>
#include <vector>

#include "cpu/kernel_table.h"
#include "expect.h"
#include "vec_math_variant.h"

namespace {

using llmcore::test::Apply;
using llmcore::test::Function;

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kTiny = std::numeric_limits<float>::denorm_min();
constexpr float kHuge = std::numeric_limits<float>::max();

struct Claim {
  Function function;
  const char* name;
  double (*truth)(double);
  float lowest, highest;  // range of the claim
  double ulps;            // allowed error
};

double sigmoid(double x) {
  return 1 / (1 + std::exp(-x));
}
double gaussian_cdf(double x) {
  return std::erfc(-x / std::sqrt(2.0)) / 2;
}
double gaussian_density(double x) {
  return std::exp(-x * x / 2) / std::sqrt(2 * std::acos(-1.0));
}
double libm_exp(double x) {
  return std::exp(x);
}
double libm_log(double x) {
  return std::log(x);
}
double libm_tanh(double x) {
  return std::tanh(x);
}

constexpr Claim kClaims[] = {
    {Function::kExp, "exp", libm_exp, -87.336544f, 88.722839f, 1.1},
    {Function::kLog, "log", libm_log, kTiny, kHuge, 1},
    {Function::kSigmoid, "sigmoid", sigmoid, -87.3f, kHuge, 2.5},
    {Function::kTanh, "tanh", libm_tanh, -kHuge, kHuge, 2.5},
    {Function::kGaussianCdf, "gaussian cdf", gaussian_cdf, -12.9f, kHuge, 6.5},
    {Function::kGaussianDensity, "density", gaussian_density, -13.2f, 13.2f, 3},
};

// Error of `got` in units of the last place of a float32 of the size of `truth`.
double ulps(float got, double truth) {
  const int exponent = truth == 0 ? -126 : std::max(std::ilogb(truth), -126);
  return std::abs(static_cast<double>(got) - truth) / std::ldexp(1.0, exponent - 23);
}

struct Worst {
  double error = 0;
  float at = 0;
};

Worst worst_error(Apply apply, const Claim& claim, uint32_t step) {
  constexpr int64_t kBlock = 4096;
  std::vector<float> x, y(kBlock);
  Worst worst;
  const auto flush = [&] {
    const size_t count = x.size();
    if (count == 0) return;
    x.resize(kBlock, 1.0f);
    apply(claim.function, x.data(), y.data(), kBlock);
    for (size_t i = 0; i < count; ++i) {
      const double error = ulps(y[i], claim.truth(x[i]));
      if (!(error <= worst.error)) worst = {error, x[i]};  // a NaN counts as worst
    }
    x.clear();
  };
  for (uint64_t bits = 0; bits < uint64_t{1} << 32; bits += step) {
    const float value = std::bit_cast<float>(static_cast<uint32_t>(bits));
    if (!(value >= claim.lowest && value <= claim.highest)) continue;
    x.push_back(value);
    if (x.size() == kBlock) flush();
  }
  flush();
  return worst;
}

float one(Apply apply, Function function, float x) {
  float in[16], out[16];
  for (float& value : in) value = x;
  apply(function, in, out, 16);
  for (float value : out) EXPECT(std::memcmp(&value, out, 4) == 0);  // every lane alike
  return out[0];
}

bool same(float a, float b) {
  return std::memcmp(&a, &b, 4) == 0;
}

void test_special_values(Apply apply) {
  const auto f = [&](Function function, float x) { return one(apply, function, x); };
  for (const Claim& claim : kClaims) EXPECT(std::isnan(f(claim.function, kNan)));
  EXPECT(f(Function::kExp, 0.0f) == 1 && f(Function::kExp, -0.0f) == 1);
  EXPECT(f(Function::kExp, kTiny) == 1);
  EXPECT(f(Function::kExp, kInfinity) == kInfinity && f(Function::kExp, kHuge) == kInfinity);
  EXPECT(f(Function::kExp, 88.7229f) == kInfinity);
  EXPECT(same(f(Function::kExp, -kInfinity), 0.0f) && same(f(Function::kExp, -kHuge), 0.0f));
  EXPECT(same(f(Function::kExp, -87.33656f), 0.0f) && same(f(Function::kExp, -104.0f), 0.0f));
  EXPECT(f(Function::kLog, 0.0f) == -kInfinity && f(Function::kLog, -0.0f) == -kInfinity);
  EXPECT(f(Function::kLog, kInfinity) == kInfinity && same(f(Function::kLog, 1.0f), 0.0f));
  EXPECT(std::isnan(f(Function::kLog, -kTiny)) && std::isnan(f(Function::kLog, -1.0f)));
  EXPECT(std::isnan(f(Function::kLog, -kInfinity)));
  EXPECT(f(Function::kSigmoid, kInfinity) == 1 && f(Function::kSigmoid, 0.0f) == 0.5f);
  EXPECT(same(f(Function::kSigmoid, -kInfinity), 0.0f) && f(Function::kSigmoid, -88.8f) == 0);
  EXPECT(f(Function::kTanh, kInfinity) == 1 && f(Function::kTanh, -kInfinity) == -1);
  EXPECT(same(f(Function::kTanh, 0.0f), 0.0f) && same(f(Function::kTanh, -0.0f), -0.0f));
  EXPECT(same(f(Function::kTanh, -kTiny), -kTiny));
  EXPECT(f(Function::kGaussianCdf, kInfinity) == 1 && f(Function::kGaussianCdf, 0.0f) == 0.5f);
  EXPECT(f(Function::kGaussianCdf, -kInfinity) == 0 && f(Function::kGaussianCdf, -14.0f) == 0);
  EXPECT(f(Function::kGaussianDensity, kInfinity) == 0);
  EXPECT(f(Function::kGaussianDensity, -kInfinity) == 0);
}

Apply variant() {
  const char* isa = llmcore::cpu::isa_in_use();
#ifdef LLMCORE_X86_VARIANTS
  if (std::strcmp(isa, "avx2") == 0) return llmcore::cpu::avx2::apply;
  if (std::strcmp(isa, "avx512") == 0) return llmcore::cpu::avx512::apply;
  if (std::strcmp(isa, "avx512_bf16") == 0) return llmcore::cpu::avx512_bf16::apply;
#endif
  EXPECT(std::strcmp(isa, "baseline") == 0);
  return llmcore::cpu::baseline::apply;
}

}  // namespace

int main(int argc, char**) {
  try {
    std::printf("isa %s\n", llmcore::cpu::isa_in_use());
  } catch (const std::runtime_error& error) {
    std::printf("skipped: %s\n", error.what());
    return 77;
  }
  const Apply apply = variant();
  test_special_values(apply);
  for (const Claim& claim : kClaims) {
    const Worst worst = worst_error(apply, claim, argc > 1 ? 1 : 997);
    std::printf("%-12s %.3f ulp at %.9g\n", claim.name, worst.error, worst.at);
    EXPECT(worst.error <= claim.ulps);
  }
  return llmcore::test::num_failed;
}
