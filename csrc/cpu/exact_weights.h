// Softmax weights as integers, equal in every instruction set and in ops/sampling/weights.py: e^x
// is float64 additions and multiplications in a written order, never fused (the file that includes
// this is compiled with -ffp-contract=off), and integers add up exactly in any order.
#pragma once

#include "cpu/vec.h"

namespace llmcore::cpu::LLMCORE_ISA {

constexpr int kLanes = kWidth / 2;  // float64 lanes
constexpr int kChains = 4;          // vectors in flight: the polynomial is one long dependency
constexpr int kStep = kLanes * kChains;

typedef double VecD __attribute__((vector_size(kLanes * 8)));
typedef int64_t VecL __attribute__((vector_size(kLanes * 8)));
typedef float VecHalf __attribute__((vector_size(kLanes * 4)));

// How scores become weights: 2^bits e^((score - top) * inverse_temperature).
struct Weighing {
  double top;
  double inverse_temperature;
  int64_t bits;
};

struct Chains {
  VecD v[kChains];
};

constexpr double kTwo52 = 4503599627370496.0;

inline double distance(float score, const Weighing& weighing) {
  return (static_cast<double>(score) - weighing.top) * weighing.inverse_temperature;
}

inline Chains distances(const float* scores, const Weighing& weighing) {
  Chains x;
  for (int u = 0; u < kChains; ++u) {
    VecHalf half;
    __builtin_memcpy(&half, scores + u * kLanes, sizeof(half));
    x.v[u] = (__builtin_convertvector(half, VecD) - weighing.top) * weighing.inverse_temperature;
  }
  return x;
}

// 2^bits e^x for x <= 0, relative error 1.4e-15 above the floor; a NaN counts as the floor, where
// no weight is left. x = n ln 2 + r, |r| <= ln 2 / 2, and a polynomial of degree 10 in r
// (interpolation at Chebyshev nodes, 1 + r exact).
inline Chains scaled_exp(Chains x, int64_t bits) {
  constexpr double kFloor = -44.5, kMagic = 1.5 * kTwo52;  // adding it rounds to an integer
  constexpr double kPolynomial[] = {0x1.28804910c5a3ep-22, 0x1.72c73893dfdbbp-19,
                                    0x1.a019c99fa8aefp-16, 0x1.a019ad9ac52a3p-13,
                                    0x1.6c16c173911b6p-10, 0x1.1111111c4947fp-7,
                                    0x1.5555555554cb5p-5,  0x1.5555555553b72p-3,
                                    0.5,                   1.0,
                                    1.0};
  VecD r[kChains], p[kChains];
  VecL exponent[kChains];
  for (int u = 0; u < kChains; ++u) {
    const VecD floor = VecD{} + kFloor;
    const VecD capped = x.v[u] > floor ? x.v[u] : floor;
    const VecD shifted = capped * 1.4426950408889634 + kMagic;
    const VecD n = shifted - kMagic;
    r[u] = (capped - n * 6.93147180369123816490e-01) - n * 1.90821492927058770002e-10;
    exponent[u] = ((VecL)shifted + (bits + 1023)) << 52;  // the low bits of `shifted` are n
    p[u] = VecD{} + kPolynomial[0];
  }
#pragma GCC unroll 10
  for (int i = 1; i <= 10; ++i) {
    for (int u = 0; u < kChains; ++u) p[u] = p[u] * r[u] + kPolynomial[i];
  }
  for (int u = 0; u < kChains; ++u) x.v[u] = p[u] * (VecD)exponent[u];
  return x;
}

// Nearest integers, halves to even, of 0 <= v <= 2^51.
inline VecL to_integers(VecD v) {
  const VecD shift = VecD{} + kTwo52;
  return (VecL)(v + shift) - (VecL)shift;
}

inline uint64_t sum_lanes(VecL v) {
  uint64_t sum = 0;
  for (int i = 0; i < kLanes; ++i) sum += static_cast<uint64_t>(v[i]);
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
  VecL sum = {};
  for_each_step(scores, n, [&](const float* from, int64_t, int64_t) {
    const Chains w = scaled_exp(distances(from, weighing), weighing.bits);
    for (int u = 0; u < kChains; ++u) sum += to_integers(w.v[u]);
  });
  return sum_lanes(sum);
}

// The same, and each weight into weights[0 .. n), which has room for kStep more.
inline uint64_t write_weights(const float* scores, int64_t n, const Weighing& weighing,
                              uint64_t* weights) {
  VecL sum = {};
  for_each_step(scores, n, [&](const float* from, int64_t at, int64_t) {
    const Chains w = scaled_exp(distances(from, weighing), weighing.bits);
    for (int u = 0; u < kChains; ++u) {
      const VecL integers = to_integers(w.v[u]);
      __builtin_memcpy(weights + at + u * kLanes, &integers, sizeof(integers));
      sum += integers;
    }
  });
  return sum_lanes(sum);
}

// Sum of -d e^d in units of 2^-bits, each term rounded: what the mean distance is made of.
inline uint64_t sum_weighted_distances(const float* scores, int64_t n, const Weighing& weighing) {
  uint64_t sum = 0;
  for_each_step(scores, n, [&](const float* from, int64_t, int64_t count) {
    const Chains d = distances(from, weighing);
    const Chains w = scaled_exp(d, weighing.bits);
    for (int u = 0; u < kChains; ++u) {
      const VecL terms = to_integers(w.v[u] * -d.v[u]);
      for (int i = 0; i < kLanes; ++i) {
        if (u * kLanes + i < count) sum += static_cast<uint64_t>(terms[i]);
      }
    }
  });
  return sum;
}

}  // namespace llmcore::cpu::LLMCORE_ISA
