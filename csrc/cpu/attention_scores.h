// What happens to a row of scores before the softmax and to its weights after: scale, softcap,
// bias, ALiBi and dropout, as ops/attention.h defines them.
#pragma once

#include <cstdint>

#include "cpu/attention_mask.h"
#include "cpu/vec.h"
#include "cpu/vec_math.h"

namespace llmcore::cpu::LLMCORE_ISA {

// 2^x for x < 2. Error below 1.1 ulp; 0 below -126, so there is no subnormal result; a NaN stays a
// NaN. Method: x = n + r with 0 <= r <= 1, a minimax polynomial of degree 6 in r (error 2^-28).
inline VecF power_of_two(VecF x) {
  constexpr float kCoefficients[] = {2.161291632e-4f,
                                     1.246784581e-3f,
                                     9.675451554e-3f,
                                     5.548528209e-2f,
                                     2.402293086e-1f,
                                     6.931470633e-1f,
                                     1.0f};
#if defined(__AVX512F__)
  const VecF r = (VecF)_mm512_reduce_ps((__m512)x, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC);
  const __mmask16 kept = _mm512_cmp_ps_mask((__m512)x, _mm512_set1_ps(-126.0f), _CMP_NLT_UQ);
  return (VecF)_mm512_maskz_scalef_ps(kept, (__m512)polynomial(r, kCoefficients), (__m512)x);
#else
  const VecF lowest = broadcast(-126.0f), clamped = maximum(lowest, x);
  const VecF shifted = (clamped - 0.5f) + kRoundingShift;
  const VecF r = clamped - (shifted - kRoundingShift);
  const VecI exponent = (VecI)shifted - (VecI)broadcast(kRoundingShift);
  const VecF scaled = polynomial(r, kCoefficients) * (VecF)((exponent + 127) << 23);
  return x < lowest ? VecF{} : scaled;
#endif
}

// One query of one head against the block of keys at key_begin.
struct ScoreRow {
  int64_t sequence;
  int64_t head;
  int64_t query;
  int64_t position;
  int64_t key_begin;
};

// Whether scores see more than the scale.
inline bool shapes_scores(const AttentionArgs& args) {
  return args.softcap > 0 || args.bias != nullptr || args.alibi_slopes != nullptr;
}

// kWidth biases from `row` on, `count` of which exist.
template <class T>
inline VecF load_bias(const T* row, int64_t key_stride, int64_t count) {
  if (key_stride == 1) return count >= kWidth ? load(row) : load_tail(row, count);
  T found[kWidth] = {};
  for (int64_t j = 0; j < kWidth && j < count; ++j) found[j] = row[j * key_stride];
  return load(found);
}

inline VecF bias_vector(const AttentionArgs& args, const ScoreRow& row, int64_t key,
                        int64_t count) {
  const int64_t at = row.sequence * args.bias_batch_stride + row.head * args.bias_head_stride +
                     row.query * args.bias_query_stride + key * args.bias_key_stride;
  switch (args.dtype) {
    case DType::kFloat32:
      return load_bias(static_cast<const float*>(args.bias) + at, args.bias_key_stride, count);
    case DType::kBFloat16:
      return load_bias(static_cast<const BFloat16*>(args.bias) + at, args.bias_key_stride, count);
    default:
      return load_bias(static_cast<const Float16*>(args.bias) + at, args.bias_key_stride, count);
  }
}

inline VecF lane_numbers() {
  VecF lanes;
  for (int i = 0; i < kWidth; ++i) lanes[i] = static_cast<float>(i);
  return lanes;
}

// Vectors [begin, end) of a block's products become scores, in place.
inline void shape_scores(const AttentionArgs& args, const ScoreRow& row, int begin, int end,
                         int64_t num_keys, float* scores) {
  for (int v = begin; v < end; ++v) {
    const int64_t key = row.key_begin + v * kWidth;
    VecF z = load(scores + v * kWidth) * args.scale;
    if (args.softcap > 0) z = tanh(z / args.softcap) * args.softcap;
    if (args.bias != nullptr) z = z + bias_vector(args, row, key, num_keys - key);
    if (args.alibi_slopes != nullptr) {
      const VecF away = lane_numbers() + static_cast<float>(key - row.position);
      z = z - absolute(away) * args.alibi_slopes[row.head];
    }
    store(scores + v * kWidth, z);
  }
}

// --- dropout ---------------------------------------------------------------------------------

struct PhiloxWords {
  VecU word[4];
};

inline void multiply_wide(VecU a, uint32_t b, VecU& high, VecU& low) {
  typedef uint64_t VecU64 __attribute__((vector_size(kWidth * 8)));
  const VecU64 product = __builtin_convertvector(a, VecU64) * b;
  high = __builtin_convertvector(product >> 32, VecU);
  low = a * b;
}

// Philox4x32-10 of counters (first + lane, c1, c2, c3). Salmon et al. 2011.
inline PhiloxWords philox(uint32_t first, uint32_t c1, uint32_t c2, uint32_t c3, uint64_t seed) {
  VecU x0{}, x1 = VecU{} + c1, x2 = VecU{} + c2, x3 = VecU{} + c3;
  for (int i = 0; i < kWidth; ++i) x0[i] = first + static_cast<uint32_t>(i);
  auto k0 = static_cast<uint32_t>(seed), k1 = static_cast<uint32_t>(seed >> 32);
  for (int round = 0; round < 10; ++round) {
    VecU high0, low0, high2, low2;
    multiply_wide(x0, 0xD2511F53u, high0, low0);
    multiply_wide(x2, 0xCD9E8D57u, high2, low2);
    x0 = high2 ^ x1 ^ k0;
    x1 = low2;
    x2 = high0 ^ x3 ^ k1;
    x3 = low0;
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  return {{x0, x1, x2, x3}};
}

// factors[j] of the weight of key key_begin + j: 0 where it drops, else 1 / (1 - dropout).
// `row` is sequence * num_heads + head.
inline void dropout_factors(const AttentionArgs& args, int64_t row, int64_t query,
                            int64_t key_begin, float* factors) {
  const auto limit =
      static_cast<uint32_t>(static_cast<double>(args.dropout) * 4294967296.0);  // dropout < 1
  const float kept = 1.0f / (1.0f - args.dropout);
  for (int64_t first = 0; first < kBlockKeys / 4; first += kWidth) {
    const PhiloxWords found =
        philox(static_cast<uint32_t>(key_begin / 4 + first), static_cast<uint32_t>(query),
               static_cast<uint32_t>(row), kDropoutPurpose, args.dropout_seed);
    for (int64_t i = 0; i < kWidth && first + i < kBlockKeys / 4; ++i) {
      for (int w = 0; w < 4; ++w) {
        factors[4 * (first + i) + w] = found.word[w][i] >= limit ? kept : 0.0f;
      }
    }
  }
}

}  // namespace llmcore::cpu::LLMCORE_ISA
