// Elementary functions on float32 vectors. Each states its range and its largest error in units in
// the last place (ulp) of the float32 result, over every float32 (`test_vec_math 1`) and on every
// instruction set; tests/csrc/test_vec_math.cpp holds them. A NaN stays a NaN, and a subnormal
// argument is taken as it is. A lane's result depends on its own argument alone and is the same in
// every set that fuses multiply and add.
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

// Lane-wise a > b ? a : b; a NaN in `b` wins, so keep the running value in `a`.
inline VecF maximum(VecF a, VecF b) {
#if defined(__AVX512F__)
  return (VecF)_mm512_max_ps((__m512)a, (__m512)b);
#elif defined(__AVX2__)
  return (VecF)_mm256_max_ps((__m256)a, (__m256)b);
#elif defined(__SSE2__)
  return (VecF)_mm_max_ps((__m128)a, (__m128)b);
#else
  return a > b ? a : b;
#endif
}

// Lane-wise a < b ? a : b; a NaN in `b` wins.
inline VecF minimum(VecF a, VecF b) {
#if defined(__AVX512F__)
  return (VecF)_mm512_min_ps((__m512)a, (__m512)b);
#elif defined(__AVX2__)
  return (VecF)_mm256_min_ps((__m256)a, (__m256)b);
#elif defined(__SSE2__)
  return (VecF)_mm_min_ps((__m128)a, (__m128)b);
#else
  return a < b ? a : b;
#endif
}

// a * b - product, exactly, where product is a * b rounded.
inline VecF product_error(VecF a, VecF b, VecF product) {
#if defined(__FMA__)
  return fused_multiply_add(a, b, -product);
#else
  const VecF a_high = (VecF)((VecI)a & -4096), b_high = (VecF)((VecI)b & -4096);
  const VecF a_low = a - a_high, b_low = b - b_high;
  return ((a_high * b_high - product) + (a_high * b_low + a_low * b_high)) + a_low * b_low;
#endif
}

inline VecF absolute(VecF x) {
  return (VecF)((VecI)x & 0x7FFFFFFF);
}

// `magnitude` must not be negative.
inline VecF with_sign_of(VecF magnitude, VecF x) {
  return (VecF)((VecI)magnitude | ((VecI)x & INT32_MIN));
}

// Polynomial with its coefficients from the highest power down.
template <int kCount>
inline VecF polynomial(VecF x, const float (&coefficients)[kCount]) {
  VecF p = broadcast(coefficients[0]);
#pragma GCC unroll 16
  for (int i = 1; i < kCount; ++i) p = fused_multiply_add(p, x, broadcast(coefficients[i]));
  return p;
}

// x = n ln 2 + r with |r| <= ln 2 / 2, for |x| <= 2^20. The bits of `shifted` count as n does.
struct ReducedExponent {
  VecF shifted;
  VecF n;
  VecF r;
};

constexpr float kRoundingShift = 12582912.0f;  // 1.5 * 2^23: adding it rounds to an integer

inline ReducedExponent reduce_exponent(VecF x) {
  const VecF shifted =
      fused_multiply_add(x, broadcast(1.44269504088896341f), broadcast(kRoundingShift));
  const VecF n = shifted - kRoundingShift;
  VecF r =
      fused_multiply_add(n, broadcast(-0.693359375f), x);  // ln 2 in two parts, the first exact
  r = fused_multiply_add(n, broadcast(2.12194440e-4f), r);
  return {shifted, n, r};
}

inline VecI integer_of(const ReducedExponent& reduced) {
  return (VecI)reduced.shifted - (VecI)broadcast(kRoundingShift);
}

// e^x. Error below 1.1 ulp for x in [-87.336544, 88.7228]. Below that range 0, so there
// is no subnormal result; from 88.7229 on infinity. Method: x = n ln 2 + r, a minimax polynomial of
// degree 6 in r (error 2^-28), then the exponent n.
inline VecF exp(VecF x) {
  const VecF lowest = broadcast(-87.336544f);
  const VecF capped = minimum(broadcast(89.0f), x);
#if defined(__AVX512F__)
  const ReducedExponent reduced = reduce_exponent(capped);
#else
  const ReducedExponent reduced = reduce_exponent(maximum(lowest, capped));
#endif
  const VecF r = reduced.r;
  const VecF p = polynomial(
      r, {1.381456923e-3f, 8.368731002e-3f, 4.166838942e-2f, 1.666652052e-1f, 4.999999344e-1f});
  const VecF value = fused_multiply_add(p * r, r, r) + 1.0f;
#if defined(__AVX512F__)
  const __mmask16 kept = _mm512_cmp_ps_mask((__m512)x, (__m512)lowest, _CMP_NLT_UQ);
  return (VecF)_mm512_maskz_scalef_ps(kept, (__m512)value, (__m512)reduced.n);
#else
  // Two factors, so that n = 128 overflows and n = -126 does not.
  const VecI exponent = integer_of(reduced);
  const VecI half = exponent >> 1;
  const VecF first = (VecF)((half + 127) << 23);
  const VecF second = (VecF)((exponent - half + 127) << 23);
  return x < lowest ? VecF{} : value * first * second;
#endif
}

// Natural logarithm. Error below 1 ulp for x > 0, subnormals included; -infinity at 0,
// infinity at infinity, NaN below 0. Method: x = 2^n m with m in [sqrt(1/2), sqrt(2)), a minimax
// polynomial of degree 10 in m - 1 (error 2^-27).
inline VecF log(VecF x) {
  const VecI tiny = x < 0x1p-126f;
  const VecI bits = (VecI)(tiny ? x * 0x1p23f : x);
  constexpr uint32_t kSqrtHalf = 0x3F3504F3;
  const VecI above = (VecI)((VecU)bits - kSqrtHalf);  // wraps for x < 0, whose result is NaN
  const VecI exponent = (above >> 23) - (tiny & 23);
  const VecF f = (VecF)((VecU)(above & 0x007FFFFF) + kSqrtHalf) - 1.0f;
  const VecF n = __builtin_convertvector(exponent, VecF);
  const VecF p =
      polynomial(f, {-7.634496123e-2f, 1.276157688e-1f, -1.316018247e-1f, 1.420175803e-1f,
                     -1.662335734e-1f, 2.000122688e-1f, -2.500082103e-1f, 3.333333171e-1f});
  const VecF square = f * f;
  VecF tail = fused_multiply_add(n, broadcast(-2.12194440e-4f), p * f * square);
  tail = fused_multiply_add(square, broadcast(-0.5f), tail);
  const VecF finite = fused_multiply_add(n, broadcast(0.693359375f), f + tail);
  const VecF infinity = broadcast(__builtin_inff());
  const VecF at_most_zero = x == 0.0f ? -infinity : broadcast(__builtin_nanf(""));
  const VecF positive = x < infinity ? finite : x;  // keeps infinity and NaN
  return x <= 0.0f ? at_most_zero : positive;
}

// 1 / (1 + e^-x), the logistic function. Error below 2.5 ulp for x > -87.3; 0 below -88.8.
inline VecF sigmoid(VecF x) {
  return 1.0f / (1.0f + exp(-x));
}

// Hyperbolic tangent. Error below 2.5 ulp everywhere; a zero keeps its sign. Method: e^2|x| - 1 =
// 2^n (e^r - 1) + (2^n - 1) without cancellation, then a quotient.
inline VecF tanh(VecF x) {
  const VecF doubled = minimum(broadcast(20.0f), absolute(x) * 2.0f);
  const ReducedExponent reduced = reduce_exponent(doubled);
  const VecF r = reduced.r;
  const VecF p = polynomial(r, {1.984587949e-4f, 1.39406479e-3f, 8.333389414e-3f, 4.166636067e-2f,
                                1.666666637e-1f, 5.000000044e-1f});
  const VecF small = fused_multiply_add(p * r, r, r);  // e^r - 1
  const VecF power = (VecF)((integer_of(reduced) + 127) << 23);
  const VecF value = fused_multiply_add(power, small, power - 1.0f);
  return with_sign_of(value / (value + 2.0f), x);
}

// The standard normal distribution: Phi(x) = (1 + erf(x / sqrt(2))) / 2 and its density.
struct Gaussian {
  VecF cdf;
  VecF density;
};

// Error of the cdf below 8 ulp for x > -12.9, where 1 + erf would cancel, and of the density
// below 3 ulp for |x| < 13.2; both are 0 below -13.3. Method: Phi(-t) = e^(-t^2/2) R(t) with a
// rational minimax approximation of degree (4, 5) to Mills' ratio R, all of its terms positive
// (error 2^-27); what rounding t^2/2 loses is put back.
inline Gaussian gaussian(VecF x) {
  const VecF t = minimum(broadcast(14.0f), absolute(x));
  const VecF half = t * 0.5f;
  const VecF rounded = half * t;
  const VecF lost = product_error(half, t, rounded);
  const VecF rough = exp(-rounded);
  const VecF e = fused_multiply_add(-rough, lost, rough);
  const VecF p = polynomial(
      t, {4.01592065e-3f, 3.99552213e-2f, 1.81220526e-1f, 4.35569278e-1f, 5.00000002e-1f});
  const VecF q =
      polynomial(t, {1.00662759e-2f, 1.00160313e-1f, 4.64152751e-1f, 1.194125f, 1.66902347f, 1.0f});
  const VecF tail = e * p / q;
  return {x < 0.0f ? tail : 1.0f - tail, e * 0.398942280401432678f};
}

}  // namespace llmcore::cpu::LLMCORE_ISA
