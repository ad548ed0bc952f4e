// Compiled once per instruction set, with the flags of that set's kernels.
#include "vec_math_variant.h"

#include "cpu/vec_math.h"

namespace llmcore::cpu::LLMCORE_ISA {

namespace {

VecF value_of(test::Function function, VecF x) {
  switch (function) {
    case test::Function::kExp:
      return exp(x);
    case test::Function::kLog:
      return log(x);
    case test::Function::kSigmoid:
      return sigmoid(x);
    case test::Function::kTanh:
      return tanh(x);
    case test::Function::kGaussianCdf:
      return gaussian(x).cdf;
    default:
      return gaussian(x).density;
  }
}

}  // namespace

void apply(test::Function function, const float* x, float* y, int64_t count) {
  for (int64_t i = 0; i < count; i += kWidth) store(y + i, value_of(function, load(x + i)));
}

}  // namespace llmcore::cpu::LLMCORE_ISA
