// The activations of ops/activation.h on vectors: value f and slope f'. T is the storage type.
// float32 and float16 take the functions of vec_math.h; bfloat16, whose unit is 2^-8, takes shorter
// ones that err by 2^-15 at most: its results are then within 0.51 units of the true value.
#pragma once

#include "cpu/gaussian_tables.h"
#include "cpu/vec_math.h"

namespace llmcore::cpu::LLMCORE_ISA {

// 2^y within 2^-18 of itself for y in [-126, 127]; 0 far below, infinity far above. Method: 2^n 2^r
// with r in [0, 1) and a minimax polynomial of degree 4.
inline VecF short_exp2(VecF y) {
#if defined(__AVX512F__)
  const VecF r = (VecF)_mm512_reduce_ps((__m512)y, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC);
#else
  const VecF in_range = minimum(broadcast(127.5f), maximum(broadcast(-126.5f), y));
  const VecF shifted = (in_range - 0.5f) + kRoundingShift;
  const VecF r = in_range - (shifted - kRoundingShift);
#endif
  const VecF p = polynomial(
      r, {1.353416572e-2f, 5.201146482e-2f, 2.414427544e-1f, 6.930038349e-1f, 1.000002593f});
#if defined(__AVX512F__)
  return (VecF)_mm512_scalef_ps((__m512)p, (__m512)y);  // takes the floor of y itself
#else
  const VecI n = (VecI)shifted - (VecI)broadcast(kRoundingShift);
  const VecF scaled = p * (VecF)((n + 127) << 23);
  const VecF below_infinity = y > 127.5f ? broadcast(__builtin_inff()) : scaled;
  return y < -126.0f ? VecF{} : below_infinity;
#endif
}

// e^x within 2^-17 of itself, in the range of short_exp2.
inline VecF short_exp(VecF x) {
  return short_exp2(x * 1.44269504088896341f);
}

// As gaussian(), within 2^-15 of itself: Mills' ratio of degree (2, 3).
inline Gaussian short_gaussian(VecF x) {
  const VecF t = minimum(broadcast(20.0f), absolute(x));
  const VecF e = short_exp2(t * t * -0.721347520444481704f);  // log2(e) / 2
  const VecF p = polynomial(t, {6.2002385e-2f, 2.7703165e-1f, 5.00011405e-1f});
  const VecF q = polynomial(t, {1.55228105e-1f, 6.99704101e-1f, 1.35266154f, 1.0f});
  const VecF tail = e * p / q;
  return {x < 0.0f ? tail : 1.0f - tail, e * 0.398942280401432678f};
}

template <class T>
inline constexpr bool is_bfloat16 = false;
template <>
inline constexpr bool is_bfloat16<BFloat16> = true;

template <class T>
inline VecF exp_for(VecF x) {
  return exp(x);
}
template <>
inline VecF exp_for<BFloat16>(VecF x) {
  return short_exp(x);
}

template <class T>
inline Gaussian gaussian_for(VecF x) {
  return gaussian(x);
}
template <>
inline Gaussian gaussian_for<BFloat16>(VecF x) {
  return short_gaussian(x);
}

#if defined(__AVX512F__)
// table[index modulo 32]
inline VecF look_up(const float (&table)[32], VecI index) {
  return (VecF)_mm512_permutex2var_ps((__m512)load(table), (__m512i)index,
                                      (__m512)load(table + kWidth));
}

// As gaussian(), within the table's error for |x| <= reach. Above, the cdf is 1 and the density
// wrong; below, both are wrong.
template <int kCount>
inline Gaussian gaussian_near(const TailTable<kCount>& table, VecF x) {
  const VecF t = minimum(broadcast(table.reach()), absolute(x));
  const VecF shifted =
      fused_multiply_add(t, broadcast(1.0f / table.width), broadcast(kRoundingShift));
  const VecF d = fused_multiply_add(shifted - kRoundingShift, broadcast(-table.width), t);
  VecF slope = look_up(table.coefficients[0], (VecI)shifted);
  VecF tail = fused_multiply_add(slope, d, look_up(table.coefficients[1], (VecI)shifted));
#pragma GCC unroll 8
  for (int i = 2; i < kCount; ++i) {
    slope = fused_multiply_add(slope, d, tail);
    tail = fused_multiply_add(tail, d, look_up(table.coefficients[i], (VecI)shifted));
  }
  return {x < 0.0f ? tail : 1.0f - tail, -slope};
}
#endif

struct ValueAndSlope {
  VecF value;
  VecF slope;
};

template <class T>
struct Silu {
  static VecF value(VecF x) { return x / (1.0f + exp_for<T>(-x)); }
  static ValueAndSlope both(VecF x) {
    const VecF e = exp_for<T>(-x), s = 1.0f / (1.0f + e);
    const VecF rest = minimum(broadcast(3.4e38f), e) * s;  // 1 - s, without cancellation
    return {x * s, s * fused_multiply_add(x, rest, broadcast(1.0f))};
  }
};

template <class T>
struct Gelu {
  static VecF value(VecF x) { return x * cdf(x); }
  static ValueAndSlope both(VecF x) {
    const Gaussian g = distribution(x);
    return {x * g.cdf, fused_multiply_add(x, g.density, g.cdf)};
  }

 private:
#if defined(__AVX512F__)
  static VecF cdf(VecF x) {
    VecF near;
    if constexpr (is_bfloat16<T>) {
      near = gaussian_near(kShortNormalTail, x).cdf;
    } else {
      near = gaussian_near(kNormalTail, x).cdf;
    }
    const VecI far = x < -kNormalTail.reach();
    if (_mm512_movepi32_mask((__m512i)far) == 0) [[likely]]
      return near;
    return far ? gaussian_for<T>(x).cdf : near;
  }
  static Gaussian distribution(VecF x) {
    if constexpr (is_bfloat16<T>) return short_gaussian(x);  // takes as long as the table
    const Gaussian near = gaussian_near(kNormalTail, x);
    const VecI far = absolute(x) > kNormalTail.reach();
    if (_mm512_movepi32_mask((__m512i)far) == 0) [[likely]]
      return near;
    const Gaussian other = gaussian(x);
    return {far ? other.cdf : near.cdf, far ? other.density : near.density};
  }
#else
  static VecF cdf(VecF x) { return gaussian_for<T>(x).cdf; }
  static Gaussian distribution(VecF x) { return gaussian_for<T>(x); }
#endif
};

template <class T>
struct GeluTanh {
  static constexpr float kLinear = 1.5957691216057308f;  // 2 sqrt(2 / pi)
  static constexpr float kCubic = kLinear * 0.044715f;

  static VecF value(VecF x) {
    const VecF doubled = x * fused_multiply_add(x * x, broadcast(kCubic), broadcast(kLinear));
    return x / (1.0f + exp_for<T>(-doubled));
  }
  static ValueAndSlope both(VecF x) {
    const VecF square = x * x;
    const VecF doubled = x * fused_multiply_add(square, broadcast(kCubic), broadcast(kLinear));
    const VecF e = exp_for<T>(-doubled), s = 1.0f / (1.0f + e);
    const VecF rest = minimum(broadcast(3.4e38f), e) * s;
    const VecF rise = x * fused_multiply_add(square, broadcast(3.0f * kCubic), broadcast(kLinear));
    return {x * s, s * fused_multiply_add(rise, rest, broadcast(1.0f))};
  }
};

template <class T>
struct Relu2 {
  static VecF value(VecF x) {
    const VecF positive = maximum(VecF{}, x);
    return positive * positive;
  }
  static ValueAndSlope both(VecF x) {
    const VecF positive = maximum(VecF{}, x);
    return {positive * positive, positive + positive};
  }
};

}  // namespace llmcore::cpu::LLMCORE_ISA
