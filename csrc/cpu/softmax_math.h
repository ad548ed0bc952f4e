// Elementary functions of the softmax family: exponentials of x - max, and tanh for a softcap.
#pragma once

#include "cpu/vec.h"
#include "cpu/vec_math.h"

namespace llmcore::cpu::LLMCORE_ISA {

// e^x for x up to 88, meant for x <= 0: 1 at 0, 0 at -infinity, NaN for NaN. Relative error below
// 1e-7 + 6e-8 |x|, so below 1.3e-7 of the largest term of a softmax; subnormal results may be
// flushed. 2^y = 2^floor(y) 2^f with a polynomial of degree 6, minimax in relative error (2^-29) on
// [0, 1) with AVX-512, where floor and scaling are one instruction each, else on [-1/2, 1/2].
inline VecF exp_of_shifted(VecF x) {
  const VecF y = x * 1.44269504088896341f;
#if defined(__AVX512DQ__)
  const VecF f = (VecF)_mm512_reduce_ps((__m512)y, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC);
  VecF p = broadcast(2.1702254890e-4f);
  p = fused_multiply_add(p, f, broadcast(1.2439687271e-3f));
  p = fused_multiply_add(p, f, broadcast(9.6788406372e-3f));
  p = fused_multiply_add(p, f, broadcast(5.5483341217e-2f));
  p = fused_multiply_add(p, f, broadcast(2.4022983015e-1f));
  p = fused_multiply_add(p, f, broadcast(6.9314700365e-1f));
  p = fused_multiply_add(p, f, broadcast(1.0f));
  return (VecF)_mm512_scalef_ps((__m512)p, (__m512)y);
#else
  const VecF magic = broadcast(12582912.0f);  // 1.5 * 2^23: adding it rounds to an integer
  const VecF bounded = maximum(broadcast(-150.0f), y);  // keeps a NaN
  const VecF shifted = bounded + magic;
  const VecF f = bounded - (shifted - magic);
  const VecI n = (VecI)shifted - (VecI)magic;
  VecF p = broadcast(1.5345812426e-4f);
  p = fused_multiply_add(p, f, broadcast(1.3399930904e-3f));
  p = fused_multiply_add(p, f, broadcast(9.6184890717e-3f));
  p = fused_multiply_add(p, f, broadcast(5.5503286421e-2f));
  p = fused_multiply_add(p, f, broadcast(2.4022646248e-1f));
  p = fused_multiply_add(p, f, broadcast(6.9314718246e-1f));
  p = fused_multiply_add(p, f, broadcast(1.0f));
  const VecF result = p * (VecF)((n + 127) << 23);
  const VecF flushed = n < -126 ? VecF{} : result;
  return x != x ? x : flushed;
#endif
}

// tanh(x), relative error below 3e-7; NaN for NaN. Below 0.625 the odd polynomial of Cephes' tanhf.
inline VecF tanh_of(VecF x) {
  const VecF size = x < 0.0f ? -x : x;
  const VecF e = exp_of_shifted(-2.0f * size);
  const VecF large = (1.0f - e) / (1.0f + e);
  const VecF square = x * x;
  VecF p = broadcast(-5.70498872745e-3f);
  p = fused_multiply_add(p, square, broadcast(2.06390887954e-2f));
  p = fused_multiply_add(p, square, broadcast(-5.37397155531e-2f));
  p = fused_multiply_add(p, square, broadcast(1.33314422036e-1f));
  p = fused_multiply_add(p, square, broadcast(-3.33332819422e-1f));
  const VecF small = fused_multiply_add(p * square, x, x);
  return size < 0.625f ? small : (x < 0.0f ? -large : large);
}

}  // namespace llmcore::cpu::LLMCORE_ISA
