// Which attention weights a dropout keeps: Philox4x32-10 (Salmon et al. 2011) on vectors of
// counters. The stream is that of ops/attention.h.
#pragma once

#include <cstdint>

#include "cpu/vec.h"
#include "ops/attention.h"

namespace llmcore::cpu::LLMCORE_ISA {

struct WideProduct {
  VecU high, low;
};

inline WideProduct multiply_wide(VecU a, uint32_t factor) {
#if defined(__AVX512F__)
  const __m512i factors = _mm512_set1_epi64(factor), x = (__m512i)a;
  const __m512i even = _mm512_mul_epu32(x, factors);
  const __m512i odd = _mm512_mul_epu32(_mm512_srli_epi64(x, 32), factors);
  return {(VecU)_mm512_mask_blend_epi32(0xAAAA, _mm512_srli_epi64(even, 32), odd), a * factor};
#else
  WideProduct product{VecU{}, a * factor};
  for (int i = 0; i < kWidth; ++i) {
    product.high[i] = static_cast<uint32_t>((uint64_t{a[i]} * factor) >> 32);
  }
  return product;
#endif
}

// The weights of one (sequence, head).
struct DropoutStream {
  uint64_t seed;
  uint32_t row;    // b * H + h
  uint32_t limit;  // words below it drop
  float factor;    // of the weights that stay
};

inline DropoutStream dropout_stream(const AttentionArgs& args, int64_t sequence, int64_t head) {
  return {args.dropout_seed, static_cast<uint32_t>(sequence * args.num_heads + head),
          static_cast<uint32_t>(static_cast<double>(args.dropout) * 0x1p32),
          1.0f / (1.0f - args.dropout)};
}

// Bit j: query t keeps key key_begin + j; key_begin is a multiple of 4.
inline uint64_t dropout_bits(const DropoutStream& stream, int64_t query, int64_t key_begin) {
  uint64_t bits = 0;
  for (int64_t first = 0; first < 16; first += kWidth) {
    VecU c0 = VecU{} + static_cast<uint32_t>(key_begin / 4 + first);
    for (int i = 0; i < kWidth; ++i) c0[i] += static_cast<uint32_t>(i);
    VecU c1 = VecU{} + static_cast<uint32_t>(query), c2 = VecU{} + stream.row;
    VecU c3 = VecU{} + kDropoutPurpose;
    uint32_t key0 = static_cast<uint32_t>(stream.seed);
    uint32_t key1 = static_cast<uint32_t>(stream.seed >> 32);
    for (int round = 0; round < 10; ++round) {
      const WideProduct p0 = multiply_wide(c0, 0xD2511F53u), p1 = multiply_wide(c2, 0xCD9E8D57u);
      c0 = p1.high ^ c1 ^ key0;
      c2 = p0.high ^ c3 ^ key1;
      c1 = p1.low;
      c3 = p0.low;
      key0 += 0x9E3779B9u;
      key1 += 0xBB67AE85u;
    }
    const VecU words[4] = {c0, c1, c2, c3};
    for (int w = 0; w < 4; ++w) {
      for (int i = 0; i < kWidth; ++i) {
        bits |= uint64_t{words[w][i] >= stream.limit} << (4 * (first + i) + w);
      }
    }
  }
  return bits;
}

}  // namespace llmcore::cpu::LLMCORE_ISA
