// Scalar conversions of float16, for instruction sets without hardware conversion.
#pragma once

#include <cstdint>

#include "cpu/isa_variant.h"

namespace llmcore::cpu::LLMCORE_ISA {

inline float half_to_float(uint16_t half) {
  const uint32_t sign = static_cast<uint32_t>(half & 0x8000u) << 16;
  const uint32_t exponent = (half >> 10) & 0x1Fu;
  const uint32_t mantissa = half & 0x3FFu;
  uint32_t bits;
  if (exponent == 0) {
    const float magnitude = static_cast<float>(mantissa) * 0x1p-24f;  // subnormal or zero: exact
    __builtin_memcpy(&bits, &magnitude, 4);
    bits |= sign;
  } else if (exponent == 31) {
    bits = sign | 0x7F800000u | (mantissa << 13);
  } else {
    bits = sign | ((exponent + 112) << 23) | (mantissa << 13);
  }
  float value;
  __builtin_memcpy(&value, &bits, 4);
  return value;
}

// Round to nearest even; the two float additions do the rounding in hardware.
inline uint16_t float_to_half(float value) {
  uint32_t bits;
  __builtin_memcpy(&bits, &value, 4);
  const uint32_t sign = (bits >> 16) & 0x8000u;
  bits &= 0x7FFFFFFFu;
  if (bits > 0x7F800000u) return static_cast<uint16_t>(sign | 0x7E00u);
  if (bits >= 0x477FF000u) return static_cast<uint16_t>(sign | 0x7C00u);
  if (bits < 0x38800000u) {  // below the smallest normal half: the unit becomes 2^-24
    float magnitude;
    __builtin_memcpy(&magnitude, &bits, 4);
    const float shifted = magnitude + 0.5f;
    uint32_t rounded;
    __builtin_memcpy(&rounded, &shifted, 4);
    return static_cast<uint16_t>(sign | (rounded - 0x3F000000u));
  }
  bits += 0xC8000FFFu + ((bits >> 13) & 1u);
  return static_cast<uint16_t>(sign | (bits >> 13));
}

}  // namespace llmcore::cpu::LLMCORE_ISA
