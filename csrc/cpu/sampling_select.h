// Which ids a truncation keeps, without a sort: the shortest prefix of an order is found by binning
// its keys, then the keys of the one bin where the prefix ends, until that bin holds one value.
#pragma once

#include "cpu/exact_weights.h"
#include "cpu/vec_math.h"

namespace llmcore::cpu::LLMCORE_ISA {

constexpr float kLargest = 3.402823466e+38f;

typedef int32_t VecHalfI __attribute__((vector_size(kLanes * 4)));

// Ids still in the draw, in order of id, with what the stages need of them. Arrays have room for
// the vocabulary and 2 * kStep more.
struct Candidates {
  int64_t n;
  uint32_t* ids;
  float* scores;
  uint64_t* weights;
  uint32_t* active;  // scratch of one selection
};

// --- lanes as bits: lane i in bit i ------------------------------------------------------------

inline uint32_t lanes_from(VecF scores, float bound) {  // scores >= bound
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

inline uint32_t lanes_set(VecL holds) {  // all bits of a lane are set, or none
#if defined(__AVX512F__)
  return _mm512_movepi64_mask((__m512i)holds);
#elif defined(__AVX2__)
  return static_cast<uint32_t>(_mm256_movemask_pd((__m256d)holds));
#elif defined(__SSE2__)
  return static_cast<uint32_t>(_mm_movemask_pd((__m128d)holds));
#else
  uint32_t bits = 0;
  for (int i = 0; i < kLanes; ++i) bits |= static_cast<uint32_t>(holds[i] != 0) << i;
  return bits;
#endif
}

inline uint32_t lanes_set(VecI holds) {
#if defined(__AVX512F__)
  return _mm512_movepi32_mask((__m512i)holds);
#elif defined(__AVX2__)
  return static_cast<uint32_t>(_mm256_movemask_ps((__m256)holds));
#elif defined(__SSE2__)
  return static_cast<uint32_t>(_mm_movemask_ps((__m128)holds));
#else
  uint32_t bits = 0;
  for (int i = 0; i < kWidth; ++i) bits |= static_cast<uint32_t>(holds[i] != 0) << i;
  return bits;
#endif
}

inline uint32_t lanes_before(int64_t n) {  // the first n lanes
  return n >= 32 ? 0xFFFFFFFFu : (n <= 0 ? 0u : (1u << n) - 1u);
}

// Drops the candidates for which lanes_of(at), kWidth bits for the candidates from `at`, has a 0.
template <class LanesOf>
inline void keep(Candidates& found, const LanesOf& lanes_of) {
  int64_t kept = 0;
  for (int64_t at = 0; at < found.n; at += kWidth) {
    const uint32_t lanes = lanes_of(at) & lanes_before(found.n - at);
#if defined(__AVX512F__)
    const auto mask = static_cast<__mmask16>(lanes);
    const auto low = static_cast<__mmask8>(lanes), high = static_cast<__mmask8>(lanes >> 8);
    const __m512i ids = _mm512_loadu_si512(found.ids + at);
    const __m512 scores = _mm512_loadu_ps(found.scores + at);
    const __m512i first = _mm512_loadu_si512(found.weights + at);
    const __m512i second = _mm512_loadu_si512(found.weights + at + 8);
    _mm512_storeu_si512(found.ids + kept, _mm512_maskz_compress_epi32(mask, ids));
    _mm512_storeu_ps(found.scores + kept, _mm512_maskz_compress_ps(mask, scores));
    _mm512_storeu_si512(found.weights + kept, _mm512_maskz_compress_epi64(low, first));
    _mm512_storeu_si512(found.weights + kept + __builtin_popcount(low),
                        _mm512_maskz_compress_epi64(high, second));
    kept += __builtin_popcount(lanes);
#else
    for (int i = 0; i < kWidth; ++i) {
      found.ids[kept] = found.ids[at + i];
      found.scores[kept] = found.scores[at + i];
      found.weights[kept] = found.weights[at + i];
      kept += (lanes >> i) & 1u;
    }
#endif
  }
  found.n = kept;
}

// Which of the kWidth candidates from `at` have a weight of at least `least`.
inline uint32_t lanes_of_weight(const Candidates& found, int64_t at, uint64_t least) {
  const VecL bound = VecL{} + static_cast<int64_t>(least);
  uint32_t lanes = 0;
  for (int half = 0; half < 2; ++half) {
    VecL weights;
    __builtin_memcpy(&weights, found.weights + at + half * kLanes, sizeof(weights));
    lanes |= lanes_set((VecL)(weights >= bound)) << (half * kLanes);
  }
  return lanes;
}

inline void keep_weights_from(Candidates& found, uint64_t least) {
  keep(found, [&](int64_t at) { return lanes_of_weight(found, at, least); });
}

// --- orders: the key of a score, smallest first -------------------------------------------------

struct Range {
  double low;
  double high;
};

struct ByScore {
  VecD operator()(const float* scores) const { return -to_double(scores); }

  Range range(const float* scores, int64_t n) const {
    double low = scores[0], high = scores[0];
    VecF smallest = broadcast(scores[0]), largest = smallest;
    int64_t at = 0;
    for (; at + kWidth <= n; at += kWidth) {
      const VecF v = load(scores + at);
      smallest = minimum(v, smallest);
      largest = maximum(v, largest);
    }
    for (int i = 0; i < kWidth; ++i) {
      low = static_cast<double>(smallest[i]) < low ? static_cast<double>(smallest[i]) : low;
      high = static_cast<double>(largest[i]) > high ? static_cast<double>(largest[i]) : high;
    }
    for (; at < n; ++at) {
      low = static_cast<double>(scores[at]) < low ? static_cast<double>(scores[at]) : low;
      high = static_cast<double>(scores[at]) > high ? static_cast<double>(scores[at]) : high;
    }
    return {-high, -low};
  }
};

// |x + mean| in units of 2^-40, rounded, x the exponent of 2 and mean the mean of -x.
struct ByLikeness {
  Weighing weighing;
  double mean;

  VecD operator()(const float* scores) const {
    const VecD x = (to_double(scores) - weighing.top) * weighing.scale;
    const VecD from_mean = at_least(x, VecD{} - 64.0) + mean;  // no score of weight 1 is below -52
    const VecD magnitude = at_least(from_mean, -from_mean);
    return (magnitude * 1099511627776.0 + kTwo52) - kTwo52;
  }

  Range range(const float*, int64_t) const { return {0.0, 0x1p47}; }
};

// --- the shortest prefix of an order
// --------------------------------------------------------------

// What comes before `key` in an order, and what equals it up to the index `last`.
struct Prefix {
  double key;
  int64_t last;
};

constexpr int kBins = 1024;
constexpr int kBinChunk = 4 * kWidth;

// Bins of up to kBinChunk scores: monotone in the key, 0 for range.low and above 0 for range.high.
template <class Order>
inline void bins_of(const Order& order, const float* scores, const Range& range, int32_t* bins) {
  const double scale = (kBins - 1) / (range.high - range.low);
  for (int i = 0; i < kBinChunk; i += kLanes) {
    const VecHalfI bin = __builtin_convertvector((order(scores + i) - range.low) * scale, VecHalfI);
    __builtin_memcpy(bins + i, &bin, sizeof(bin));
  }
}

// The scores at[0 .. count) of the candidates, or of the active ones; the rest of the chunk repeats
// the first, so that it has a bin.
inline const float* chunk_of(const float* scores, const uint32_t* active, int64_t at, int64_t count,
                             float* buffer) {
  if (active == nullptr && count == kBinChunk) return scores + at;
  for (int64_t i = 0; i < kBinChunk; ++i) {
    const int64_t idx = at + (i < count ? i : 0);
    buffer[i] = scores[active == nullptr ? idx : active[idx]];
  }
  return buffer;
}

// The shortest prefix of n > 0 candidates, by key and then by index, whose weights (null: 1 each)
// sum to at least `target` > 0; the sum of all does. Keys are finite, with differences of 0 or
// within [1e-290, 1e300].
template <class Order>
inline Prefix shortest_prefix(const Order& order, const float* scores, const uint64_t* weights,
                              int64_t n, uint64_t target, uint32_t* scratch) {
  const uint32_t* active = nullptr;
  uint64_t before = 0;
  Range range = order.range(scores, n);
  float buffer[kBinChunk];
  int32_t bins[kBinChunk];
  while (range.low < range.high) {
    uint64_t sums[kBins] = {};
    for (int64_t at = 0; at < n; at += kBinChunk) {
      const int64_t count = n - at < kBinChunk ? n - at : kBinChunk;
      bins_of(order, chunk_of(scores, active, at, count, buffer), range, bins);
      for (int64_t i = 0; i < count; ++i) {
        const int64_t idx = active == nullptr ? at + i : active[at + i];
        sums[bins[i]] += weights == nullptr ? 1 : weights[idx];
      }
    }
    int32_t chosen = 0;
    while (chosen < kBins - 1 && before + sums[chosen] < target) before += sums[chosen++];
    int64_t kept = 0;
    Range found{range.high, range.low};
    for (int64_t at = 0; at < n; at += kBinChunk) {
      const int64_t count = n - at < kBinChunk ? n - at : kBinChunk;
      const float* chunk = chunk_of(scores, active, at, count, buffer);
      bins_of(order, chunk, range, bins);
      for (int part = 0; part < kBinChunk; part += kWidth) {
        VecI part_bins;
        __builtin_memcpy(&part_bins, bins + part, sizeof(part_bins));
        uint32_t lanes = lanes_set((VecI)(part_bins == chosen)) & lanes_before(count - part);
        for (; lanes != 0; lanes &= lanes - 1) {
          const int64_t i = at + part + __builtin_ctz(lanes);
          scratch[kept++] = active == nullptr ? static_cast<uint32_t>(i) : active[i];
        }
      }
    }
    active = scratch;
    n = kept;
    for (int64_t at = 0; at < n; at += kBinChunk) {
      const int64_t count = n - at < kBinChunk ? n - at : kBinChunk;
      const float* chunk = chunk_of(scores, active, at, count, buffer);
      for (int i = 0; i < kBinChunk; i += kLanes) {
        const VecD keys = order(chunk + i);
        for (int lane = 0; lane < kLanes; ++lane) {
          found.low = keys[lane] < found.low ? keys[lane] : found.low;
          found.high = keys[lane] > found.high ? keys[lane] : found.high;
        }
      }
    }
    range = found;
  }
  int64_t last = -1;
  for (int64_t i = 0; i < n && before < target; ++i) {
    last = active == nullptr ? i : active[i];
    before += weights == nullptr ? 1 : weights[last];
  }
  return {range.low, last};
}

// Drops what the prefix does not hold, and all of it that has a weight below `least`.
template <class Order>
inline void keep_prefix(const Order& order, Candidates& found, const Prefix& prefix,
                        uint64_t least = 0) {
  keep(found, [&](int64_t at) {
    uint32_t lanes = 0;
    for (int half = 0; half < 2; ++half) {
      const int64_t from = at + half * kLanes;
      const VecD keys = order(found.scores + from);
      const uint32_t ties = lanes_before(prefix.last + 1 - from);
      const uint32_t below = lanes_set((VecL)(keys < prefix.key));
      lanes |= (below | (lanes_set((VecL)(keys == prefix.key)) & ties)) << (half * kLanes);
    }
    return least == 0 ? lanes : lanes & lanes_of_weight(found, at, least);
  });
}

// --- the k largest -------------------------------------------------------------------------------

#if defined(__AVX512F__)
// The ids and scores of the set lanes of scores[at .. at + kWidth), to the place n.
inline void write_lanes(const float* scores, int64_t at, uint32_t lanes, Candidates& found,
                        int64_t n) {
  const __m512i ids =
      _mm512_add_epi32(_mm512_set1_epi32(static_cast<int32_t>(at)),
                       _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15));
  const auto mask = static_cast<__mmask16>(lanes);
  _mm512_storeu_ps(found.scores + n, _mm512_maskz_compress_ps(mask, _mm512_loadu_ps(scores + at)));
  _mm512_storeu_si512(found.ids + n, _mm512_maskz_compress_epi32(mask, ids));
}
#endif

// All ids with a score of at least `bound`, which is finite.
inline void gather(const float* scores, int64_t vocab, float bound, Candidates& found) {
  int64_t n = 0, at = 0;
  for (; at + kWidth <= vocab; at += kWidth) {
    const VecF v = load(scores + at);
    const uint32_t lanes = lanes_from(v, bound);
    if (lanes == 0) continue;
#if defined(__AVX512F__)
    write_lanes(scores, at, lanes, found, n);
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

// The same, where found.weights holds the weights of the whole vocabulary: keeps those of the ids.
inline void gather_with_weights(const float* scores, int64_t vocab, float bound,
                                Candidates& found) {
  uint64_t* weights = found.weights;
  int64_t n = 0, at = 0;
  for (; at + kWidth <= vocab; at += kWidth) {
    const VecF v = load(scores + at);
    const uint32_t lanes = lanes_from(v, bound);
    if (lanes == 0) continue;
#if defined(__AVX512F__)
    const auto low = static_cast<__mmask8>(lanes), high = static_cast<__mmask8>(lanes >> 8);
    const __m512i first = _mm512_loadu_si512(weights + at);
    const __m512i second = _mm512_loadu_si512(weights + at + 8);
    write_lanes(scores, at, lanes, found, n);
    _mm512_storeu_si512(weights + n, _mm512_maskz_compress_epi64(low, first));
    n += __builtin_popcount(low);
    _mm512_storeu_si512(weights + n, _mm512_maskz_compress_epi64(high, second));
    n += __builtin_popcount(high);
#else
    for (int i = 0; i < kWidth; ++i) {
      found.scores[n] = scores[at + i];
      found.ids[n] = static_cast<uint32_t>(at + i);
      weights[n] = weights[at + i];
      n += (lanes >> i) & 1u;
    }
#endif
  }
  for (; at < vocab; ++at) {
    found.scores[n] = scores[at];
    found.ids[n] = static_cast<uint32_t>(at);
    weights[n] = weights[at];
    n += scores[at] >= bound;
  }
  found.n = n;
}

// A score of which at least k exist: the k-th largest of the maxima of small groups, of which there
// are three times k or more; the lowest score where that would be groups of one.
inline float bound_of_top(const float* scores, int64_t vocab, int64_t k, Candidates& found) {
  int64_t depth = 32;  // scores in a group: one lane of `depth` vectors
  while (depth > 1 && vocab / depth < 3 * k) depth /= 2;
  if (depth == 1) return -kLargest;
  const int64_t stride = depth * kWidth;
  int64_t n = 0;
  for (int64_t at = 0; at < vocab; at += stride) {
    VecF largest = broadcast(-kLargest);  // so that no key is infinite
    int64_t i = at;
    for (; i + kWidth <= vocab && i < at + stride; i += kWidth) {
      largest = maximum(load(scores + i), largest);
    }
    for (; i < vocab && i < at + stride; ++i) {
      if (scores[i] > largest[i % kWidth]) largest[i % kWidth] = scores[i];
    }
    store(found.scores + n, largest);
    n += kWidth;
  }
  const Prefix top =
      shortest_prefix(ByScore{}, found.scores, nullptr, n, static_cast<uint64_t>(k), found.active);
  return static_cast<float>(-top.key);
}

// The k > 0 largest scores, the lowest id among equals; fewer where fewer are above -inf. Leaves
// the weights undefined.
inline void gather_top(const float* scores, int64_t vocab, int64_t k, Candidates& found) {
  gather(scores, vocab, bound_of_top(scores, vocab, k, found), found);
  if (found.n <= k) return;
  const Prefix top = shortest_prefix(ByScore{}, found.scores, nullptr, found.n,
                                     static_cast<uint64_t>(k), found.active);
  keep_prefix(ByScore{}, found, top);
}

}  // namespace llmcore::cpu::LLMCORE_ISA
