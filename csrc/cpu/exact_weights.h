// Softmax weights as integers, equal in every instruction set and in ops/sampling/weights.py: 2^x
// is float64 additions and multiplications in a written order, never fused (the file that includes
// this is compiled with -ffp-contract=off), and integers add up exactly in any order.
#pragma once

#include "cpu/vec.h"

namespace llmcore::cpu::LLMCORE_ISA {

constexpr int kLanes = kWidth / 2;  // float64 lanes
constexpr int kChains = 8;          // vectors in flight: the polynomial is one long dependency
constexpr int kStep = kLanes * kChains;

typedef double VecD __attribute__((vector_size(kLanes * 8)));
typedef int64_t VecL __attribute__((vector_size(kLanes * 8)));
typedef uint64_t VecUL __attribute__((vector_size(kLanes * 8)));

constexpr double kTwo52 = 4503599627370496.0;
constexpr double kLog2E = 0x1.71547652b82fep+0;

// How scores become weights: 2^bits e^((score - top) * inverse_temperature), with the exponent in
// powers of 2: (score - top) * scale.
struct Weighing {
  double top;
  double inverse_temperature;
  double scale;  // inverse_temperature * log2(e)
  int64_t bits;
};

inline VecD to_double(const float* p) {
#if defined(__AVX512F__)
  return (VecD)_mm512_cvtps_pd(_mm256_loadu_ps(p));
#elif defined(__AVX2__)
  return (VecD)_mm256_cvtps_pd(_mm_loadu_ps(p));
#elif defined(__SSE2__)
  double both;
  __builtin_memcpy(&both, p, sizeof(both));
  return (VecD)_mm_cvtps_pd(_mm_castpd_ps(_mm_set_sd(both)));
#else
  VecD v;
  for (int i = 0; i < kLanes; ++i) v[i] = static_cast<double>(p[i]);
  return v;
#endif
}

// x where it is above the floor; a NaN counts as the floor.
inline VecD at_least(VecD x, VecD floor) {
#if defined(__AVX512F__)
  return (VecD)_mm512_max_pd((__m512d)x, (__m512d)floor);
#elif defined(__AVX2__)
  return (VecD)_mm256_max_pd((__m256d)x, (__m256d)floor);
#elif defined(__SSE2__)
  return (VecD)_mm_max_pd((__m128d)x, (__m128d)floor);
#else
  return x > floor ? x : floor;
#endif
}

// The compiler would compute one chain after the other, and their latencies would add up.
inline void keep_in_step(VecD& v) {
#if defined(__AVX512F__)
  __asm__("" : "+v"(v));
#elif defined(__SSE2__)
  __asm__("" : "+x"(v));
#endif
}

struct Chains {
  VecD v[kChains];
};

inline Chains exponents(const float* scores, const Weighing& weighing) {
  Chains x;
  for (int u = 0; u < kChains; ++u) {
    x.v[u] = (to_double(scores + u * kLanes) - weighing.top) * weighing.scale;
  }
  return x;
}

// 2^(bits + x) for x <= 0, relative error below 1e-13 above the floor, where no weight is left;
// exact for x = 0. x = n + f, |f| <= 1/2, and a polynomial of degree 9 in f (1 + f ln 2 + f^2 times
// the interpolation at Chebyshev nodes).
inline Chains scaled_exp2(Chains x, int64_t bits) {
  constexpr double kFloor = -64;
  constexpr double kPolynomial[] = {0x1.b619f16f8282bp-24, 0x1.63b2e40877ca0p-20,
                                    0x1.ffcbafd5e74e2p-17, 0x1.4308c71076733p-13,
                                    0x1.5d87fe804dc28p-10, 0x1.3b2ab70ad4abap-7,
                                    0x1.c6b08d7049918p-5,  0x1.ebfbdff82a72dp-3,
                                    0x1.62e42fefa39efp-1,  1.0};
  // Adding it rounds to an integer, which then stands in the low bits.
  const double magic = 1.5 * kTwo52 + static_cast<double>(bits);
  VecD f[kChains], p[kChains];
  VecUL exponent[kChains];
  for (int u = 0; u < kChains; ++u) {
    const VecD capped = at_least(x.v[u], VecD{} + kFloor);
    const VecD shifted = capped + magic;
    f[u] = capped - (shifted - magic);
    exponent[u] = (VecUL)shifted << 52;
    p[u] = f[u] * kPolynomial[0] + kPolynomial[1];
  }
#pragma GCC unroll 8
  for (int i = 2; i < 10; ++i) {
    for (int u = 0; u < kChains; ++u) {
      p[u] = p[u] * f[u] + kPolynomial[i];
      keep_in_step(p[u]);
    }
  }
  for (int u = 0; u < kChains; ++u) x.v[u] = (VecD)((VecUL)p[u] + exponent[u]);
  return x;
}

// Nearest integers, halves to even, of 0 <= v <= 2^51, plus kIntegerBias.
constexpr uint64_t kIntegerBias = 0x4330000000000000;  // the bits of 2^52
inline VecUL to_biased_integers(VecD v) {
  return (VecUL)(v + kTwo52);
}

inline uint64_t sum_lanes(VecUL v) {
  uint64_t sum = 0;
  for (int i = 0; i < kLanes; ++i) sum += v[i];
  return sum;
}

// Calls block(scores, at, n) for kStep scores at a time; the last block is a copy, filled with
// -inf.
template <class Block>
inline void for_each_step(const float* scores, int64_t n, const Block& block) {
  int64_t at = 0;
  for (; at + kStep <= n; at += kStep) block(scores + at, at, int64_t{kStep});
  if (at == n) return;
  float rest[kStep];
  for (int i = 0; i < kStep; ++i) rest[i] = at + i < n ? scores[at + i] : -__builtin_inff();
  block(rest, at, n - at);
}

// Sum of the weights of n scores.
inline uint64_t sum_weights(const float* scores, int64_t n, const Weighing& weighing) {
  VecUL sum = {};
  for_each_step(scores, n, [&](const float* from, int64_t, int64_t) {
    const Chains w = scaled_exp2(exponents(from, weighing), weighing.bits);
    VecUL biased = to_biased_integers(w.v[0]);
    for (int u = 1; u < kChains; ++u) biased += to_biased_integers(w.v[u]);
    sum += biased - kChains * kIntegerBias;
  });
  return sum_lanes(sum);
}

// The same, and each weight into weights[0 .. n), which has room for kStep more.
inline uint64_t write_weights(const float* scores, int64_t n, const Weighing& weighing,
                              uint64_t* weights) {
  VecUL sum = {};
  for_each_step(scores, n, [&](const float* from, int64_t at, int64_t) {
    const Chains w = scaled_exp2(exponents(from, weighing), weighing.bits);
    for (int u = 0; u < kChains; ++u) {
      const VecUL integers = to_biased_integers(w.v[u]) - kIntegerBias;
      __builtin_memcpy(weights + at + u * kLanes, &integers, sizeof(integers));
      sum += integers;
    }
  });
  return sum_lanes(sum);
}

// Sum of weight times -x, x the exponent of 2, each term rounded, from the weights of n scores.
// Reads kStep elements past the last.
inline uint64_t sum_weighted_exponents(const float* scores, const uint64_t* weights, int64_t n,
                                       const Weighing& weighing) {
  VecUL sum = {};
  for (int64_t at = 0; at < n; at += kLanes) {
    VecUL weight;
    __builtin_memcpy(&weight, weights + at, sizeof(weight));
    VecD x = (to_double(scores + at) - weighing.top) * weighing.scale;
    for (int i = 0; i < kLanes && n - at < kLanes; ++i) {
      if (at + i < n) continue;
      weight[i] = 0;
      x[i] = 0;  // infinity may lie there, and 0 times that is NaN
    }
    const VecD w = (VecD)(weight | kIntegerBias) - kTwo52;
    sum += to_biased_integers(w * -at_least(x, VecD{} - 64.0)) - kIntegerBias;
  }
  return sum_lanes(sum);
}

}  // namespace llmcore::cpu::LLMCORE_ISA
