// The functions of cpu/vec_math.h over arrays, once per instruction set: test_vec_math.cpp's way
// in.
#pragma once

#include <cstdint>

namespace llmcore::test {

enum class Function : uint8_t { kExp, kLog, kSigmoid, kTanh, kGaussianCdf, kGaussianDensity };

// n must be a multiple of 16.
using Apply = void (*)(Function function, const float* x, float* y, int64_t n);

}  // namespace llmcore::test

#define LLMCORE_DECLARE_APPLY(isa)                                                       \
  namespace llmcore::cpu::isa {                                                          \
  void apply(llmcore::test::Function function, const float* x, float* y, int64_t count); \
  }
LLMCORE_DECLARE_APPLY(baseline)
LLMCORE_DECLARE_APPLY(avx2)
LLMCORE_DECLARE_APPLY(avx512)
LLMCORE_DECLARE_APPLY(avx512_bf16)
#undef LLMCORE_DECLARE_APPLY
