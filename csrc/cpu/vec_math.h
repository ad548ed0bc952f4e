// Elementary functions on float32 vectors. Each states its range and its largest error; a NaN stays
// a NaN. Nothing here depends on how many lanes a vector has: a lane's result is the same in every
// instruction set that fuses multiply and add.
#pragma once

#include "cpu/vec.h"

namespace llmcore::cpu::LLMCORE_ISA {

inline VecF fused_multiply_add(VecF a, VecF b, VecF c) {
#if defined(__AVX512F__)
  return (VecF)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
#elif defined(__FMA__)
  return (VecF)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
#else
  return a * b + c;
#endif
}

// Lane-wise maximum; a NaN in `b` wins, so keep the running value in `a`.
inline VecF maximum(VecF a, VecF b) {
  return a > b ? a : b;
}
inline VecF minimum(VecF a, VecF b) {
  return a < b ? a : b;
}

// e^x. Error below 1.2 ulp for x in [-87.3, 88.7]; 0 below -103.98 (subnormal results are flushed
// from -87.34 on), infinity above 88.73. Method: x = n ln 2 + r, |r| <= ln 2 / 2, a polynomial of
// degree 6 in r (minimax, error 2^-27), then the exponent n.
inline VecF exp(VecF x) {
  const VecF log2e = broadcast(1.44269504088896341f);
  const VecF ln2_high = broadcast(0.693359375f), ln2_low = broadcast(-2.12194440e-4f);
  const VecF magic = broadcast(12582912.0f);  // 1.5 * 2^23: adding it rounds to an integer
  const VecF capped = minimum(broadcast(89.0f), maximum(broadcast(-104.0f), x));
  const VecF shifted = fused_multiply_add(capped, log2e, magic);
  const VecF n = shifted - magic;
  VecF r = fused_multiply_add(n, -ln2_high, capped);
  r = fused_multiply_add(n, -ln2_low, r);
  VecF p = broadcast(1.9875691500e-4f);
  p = fused_multiply_add(p, r, broadcast(1.3981999507e-3f));
  p = fused_multiply_add(p, r, broadcast(8.3334519073e-3f));
  p = fused_multiply_add(p, r, broadcast(4.1665795894e-2f));
  p = fused_multiply_add(p, r, broadcast(1.6666665459e-1f));
  p = fused_multiply_add(p, r, broadcast(5.0000001201e-1f));
  p = fused_multiply_add(p * r, r, r) + 1.0f;
#if defined(__AVX512F__)
  const VecF result = (VecF)_mm512_scalef_ps((__m512)p, (__m512)n);
#else
  // Two factors, so that n = 128 overflows and n = -126 does not.
  const VecI exponent = (VecI)shifted - (VecI)magic;
  const VecI half = exponent >> 1;
  const VecF first = (VecF)((half + 127) << 23);
  const VecF second = (VecF)((exponent - half + 127) << 23);
  const VecF scaled = p * first * second;
  const VecF result = exponent < -126 ? VecF{} : scaled;
#endif
  return x != x ? x : result;
}

}  // namespace llmcore::cpu::LLMCORE_ISA
