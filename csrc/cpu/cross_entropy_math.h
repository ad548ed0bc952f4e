// The gradient of cross-entropy, a vector at a time; see ops/cross_entropy.h.
#pragma once

#include "cpu/softmax_math.h"
#include "cpu/vec.h"

namespace llmcore::cpu::LLMCORE_ISA {

constexpr float kLowest = -3.402823466e+38f;  // in place of -infinity: a difference stays defined

inline VecF capped(VecF x, float softcap) {
  return softcap * tanh_of(x / softcap);
}

// What a gradient needs: dx = (scale exp(z - lse) - uniform - target) (1 - (z / softcap)^2).
struct LogitGradient {
  VecF lse;
  VecF scale;
  VecF uniform;
  float softcap;
};

template <bool kCap>
inline VecF gradient_of(const LogitGradient& of, VecF x, VecF target) {
  VecF ratio;
  if constexpr (kCap) {
    ratio = tanh_of(x / of.softcap);
    x = of.softcap * ratio;
  }
  const VecF dz = of.scale * exp_of_shifted(x - of.lse) - of.uniform - target;
  if constexpr (kCap) return dz * (1.0f - ratio * ratio);
  return dz;
}

}  // namespace llmcore::cpu::LLMCORE_ISA
