// Which ids a truncation keeps, without a sort: the shortest prefix of an order is found by binning
// its keys, then the keys of the one bin where the prefix ends, until that bin holds one value.
#pragma once

#include "cpu/exact_weights.h"
#include "cpu/vec_math.h"

namespace llmcore::cpu::LLMCORE_ISA {

constexpr float kLargest = 3.402823466e+38f;

// Ids still in the draw, in order of id, with what the stages need of them. Arrays have room for
// the vocabulary and kStep more.
struct Candidates {
  int64_t n;
  uint32_t* ids;
  float* scores;
  uint64_t* weights;
  double* keys;      // scratch of one selection
  uint32_t* active;  // scratch of one selection
};

// The elements before `key` in an order, and the first `ties` of those equal to it.
struct Prefix {
  double key;
  int64_t ties;
};

struct Range {
  double low;
  double high;
};

inline Range range_of(const double* keys, const uint32_t* active, int64_t n) {
  Range range{keys[active == nullptr ? 0 : active[0]], keys[active == nullptr ? 0 : active[0]]};
  for (int64_t i = 1; i < n; ++i) {
    const double key = keys[active == nullptr ? i : active[i]];
    range.low = key < range.low ? key : range.low;
    range.high = key > range.high ? key : range.high;
  }
  return range;
}

constexpr int kBins = 1024;
constexpr int kBinChunk = 64;

// bins[i] of the keys [at, at + count): monotone in the key, 0 for range.low, >= 1 for range.high.
inline void bins_of(const double* keys, const uint32_t* active, int64_t at, int64_t count,
                    double low, double scale, int32_t* bins) {
  if (active == nullptr) {
    for (int64_t i = 0; i < count; ++i) {
      bins[i] = static_cast<int32_t>((keys[at + i] - low) * scale);
    }
  } else {
    for (int64_t i = 0; i < count; ++i) {
      bins[i] = static_cast<int32_t>((keys[active[at + i]] - low) * scale);
    }
  }
}

// The shortest prefix of n > 0 elements, ordered by key and then by position, whose weights (null:
// 1 each) sum to at least `target` > 0; the sum of all weights does. Keys are finite, less than
// 1e300 apart, and differ by more than 1e-290 where they differ.
inline Prefix smallest_prefix(const double* keys, const uint64_t* weights, int64_t n,
                              uint64_t target, uint32_t* scratch) {
  const uint32_t* active = nullptr;
  uint64_t before = 0;
  Range range = range_of(keys, nullptr, n);
  while (range.low < range.high) {
    uint64_t sums[kBins] = {};
    int32_t bins[kBinChunk];
    const double scale = (kBins - 1) / (range.high - range.low);
    for (int64_t at = 0; at < n; at += kBinChunk) {
      const int64_t count = n - at < kBinChunk ? n - at : kBinChunk;
      bins_of(keys, active, at, count, range.low, scale, bins);
      for (int64_t i = 0; i < count; ++i) {
        const int64_t idx = active == nullptr ? at + i : active[at + i];
        sums[bins[i]] += weights == nullptr ? 1 : weights[idx];
      }
    }
    int32_t chosen = 0;
    while (chosen < kBins - 1 && before + sums[chosen] < target) before += sums[chosen++];
    int64_t kept = 0;
    for (int64_t at = 0; at < n; at += kBinChunk) {
      const int64_t count = n - at < kBinChunk ? n - at : kBinChunk;
      bins_of(keys, active, at, count, range.low, scale, bins);
      for (int64_t i = 0; i < count; ++i) {
        scratch[kept] = active == nullptr ? static_cast<uint32_t>(at + i) : active[at + i];
        kept += bins[i] == chosen;
      }
    }
    active = scratch;
    n = kept;
    range = range_of(keys, active, n);
  }
  int64_t ties = 0;
  while (ties < n && before < target) {
    const int64_t idx = active == nullptr ? ties : active[ties];
    before += weights == nullptr ? 1 : weights[idx];
    ++ties;
  }
  return {range.low, ties};
}

// Drops what the prefix of `keys` does not hold.
inline void keep_prefix(Candidates& found, const Prefix& prefix) {
  int64_t kept = 0, ties = 0;
  for (int64_t i = 0; i < found.n; ++i) {
    const double key = found.keys[i];
    const bool tied = key == prefix.key;
    const bool keeps = key < prefix.key || (tied && ties < prefix.ties);
    ties += tied;
    found.ids[kept] = found.ids[i];
    found.scores[kept] = found.scores[i];
    found.weights[kept] = found.weights[i];
    kept += keeps;
  }
  found.n = kept;
}

inline void keep_weights_from(Candidates& found, double least) {
  int64_t kept = 0;
  for (int64_t i = 0; i < found.n; ++i) {
    const bool keeps = static_cast<double>(found.weights[i]) >= least;
    found.ids[kept] = found.ids[i];
    found.scores[kept] = found.scores[i];
    found.weights[kept] = found.weights[i];
    kept += keeps;
  }
  found.n = kept;
}

// Whether lane i holds scores[i] >= bound, in bit i.
inline uint32_t lanes_from(VecF scores, float bound) {
#if defined(__AVX512F__)
  return _mm512_cmp_ps_mask((__m512)scores, _mm512_set1_ps(bound), _CMP_GE_OQ);
#elif defined(__AVX2__)
  const __m256 holds = _mm256_cmp_ps((__m256)scores, _mm256_set1_ps(bound), _CMP_GE_OQ);
  return static_cast<uint32_t>(_mm256_movemask_ps(holds));
#elif defined(__SSE2__)
  const __m128 holds = _mm_cmpge_ps((__m128)scores, _mm_set1_ps(bound));
  return static_cast<uint32_t>(_mm_movemask_ps(holds));
#else
  uint32_t bits = 0;
  for (int i = 0; i < kWidth; ++i) bits |= static_cast<uint32_t>(scores[i] >= bound) << i;
  return bits;
#endif
}

// All ids with a score of at least `bound`, never one of -inf.
inline void gather(const float* scores, int64_t vocab, float bound, Candidates& found) {
  if (!(bound >= -kLargest)) bound = -kLargest;
  int64_t n = 0, at = 0;
  for (; at + kWidth <= vocab; at += kWidth) {
    const VecF v = load(scores + at);
    const uint32_t lanes = lanes_from(v, bound);
    if (lanes == 0) continue;
#if defined(__AVX512F__)
    const __m512i ids = _mm512_add_epi32(
        _mm512_set1_epi32(static_cast<int32_t>(at)),
        _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15));
    const auto mask = static_cast<__mmask16>(lanes);
    _mm512_storeu_ps(found.scores + n, _mm512_maskz_compress_ps(mask, (__m512)v));
    _mm512_storeu_si512(found.ids + n, _mm512_maskz_compress_epi32(mask, ids));
    n += __builtin_popcount(lanes);
#else
    for (int i = 0; i < kWidth; ++i) {
      found.scores[n] = scores[at + i];
      found.ids[n] = static_cast<uint32_t>(at + i);
      n += (lanes >> i) & 1u;
    }
#endif
  }
  for (; at < vocab; ++at) {
    found.scores[n] = scores[at];
    found.ids[n] = static_cast<uint32_t>(at);
    n += scores[at] >= bound;
  }
  found.n = n;
}

// A score of which at least k exist: the k-th largest of the maxima of small groups. The groups
// are eight times k or more; -inf where that would be groups of one.
inline float bound_of_top(const float* scores, int64_t vocab, int64_t k, Candidates& found) {
  int64_t depth = 32;  // scores in a group: one lane of `depth` vectors
  while (depth > 1 && vocab / depth < 8 * k) depth /= 2;
  if (depth == 1) return -__builtin_inff();
  const int64_t stride = depth * kWidth;
  int64_t n = 0;
  for (int64_t at = 0; at < vocab; at += stride) {
    VecF largest;
    if (at + stride <= vocab) {
      largest = load(scores + at);
      for (int64_t i = 1; i < depth; ++i) largest = maximum(load(scores + at + i * kWidth), largest);
    } else {
      float rest[kWidth];
      for (int i = 0; i < kWidth; ++i) rest[i] = -__builtin_inff();
      for (int64_t i = at; i < vocab; ++i) {
        float& lane = rest[(i - at) % kWidth];
        lane = scores[i] > lane ? scores[i] : lane;
      }
      largest = load(rest);
    }
    for (int i = 0; i < kWidth; ++i) {
      const double key = -static_cast<double>(largest[i]);
      found.keys[n + i] = key < 1e39 ? key : 1e39;  // a group of -inf: after every finite score
    }
    n += kWidth;
  }
  const Prefix top =
      smallest_prefix(found.keys, nullptr, n, static_cast<uint64_t>(k), found.active);
  return top.key < 1e39 ? static_cast<float>(-top.key) : -__builtin_inff();
}

inline void order_by_score(Candidates& found) {
  for (int64_t i = 0; i < found.n; ++i) found.keys[i] = -static_cast<double>(found.scores[i]);
}

// The k > 0 largest scores, the lowest id among equals; fewer where fewer are above -inf.
inline void gather_top(const float* scores, int64_t vocab, int64_t k, Candidates& found) {
  gather(scores, vocab, bound_of_top(scores, vocab, k, found), found);
  if (found.n <= k) return;
  order_by_score(found);
  keep_prefix(found, smallest_prefix(found.keys, nullptr, found.n, static_cast<uint64_t>(k),
                                     found.active));
}

}  // namespace llmcore::cpu::LLMCORE_ISA
