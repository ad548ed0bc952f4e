// Which pairs of query and key are kept, for ranges of pairs and for one query at a time. Pure
// functions of the rules in ops/attention.h; nothing here touches scores.
#pragma once

#include <cstdint>

#include "cpu/vec.h"
#include "ops/attention.h"

namespace llmcore::cpu::LLMCORE_ISA {

constexpr int64_t kBlockKeys = kAttentionKeyBlock;
static_assert(kBlockKeys == 64, "the kept keys of a block are the bits of one uint64_t");

// The rules of one sequence.
struct PairRules {
  int64_t num_queries;
  int64_t num_keys;
  bool causal;
  int64_t prefix_len;  // 0: none
  int64_t window;      // 0: none
  SparseKind sparse;
  int64_t stride;
  int64_t summary;
  const bool* mask;  // of query 0 and key `mask_first_key`, or null; earlier keys are kept
  int64_t mask_query_stride;
  int64_t mask_key_stride;
  int64_t mask_first_key;
  const int64_t* segment_ids;  // of the keys, or null; the queries are the last of them
};

// The rules that depend on positions alone, for a sequence of so many keys.
inline PairRules common_rules(const AttentionArgs& args, int64_t sequence, int64_t num_keys) {
  PairRules rules{};
  rules.num_queries = args.num_queries;
  rules.num_keys = num_keys;
  rules.causal = args.causal;
  if (args.prefix_lens != nullptr) {
    const int64_t len = args.prefix_lens[sequence];
    rules.prefix_len = len < 0 ? 0 : (len > num_keys ? num_keys : len);
  }
  rules.window = args.window;
  rules.sparse = args.sparse;
  rules.stride = args.stride;
  rules.summary = args.summary;
  return rules;
}

inline PairRules pair_rules(const AttentionArgs& args, int64_t sequence) {
  const bool is_packed = args.cu_seqlens_q != nullptr;
  PairRules rules = common_rules(
      args, sequence,
      is_packed ? args.cu_seqlens_k[sequence + 1] - args.cu_seqlens_k[sequence] : args.num_keys);
  if (is_packed) {
    rules.num_queries = args.cu_seqlens_q[sequence + 1] - args.cu_seqlens_q[sequence];
  }
  if (args.mask != nullptr) {
    rules.mask = args.mask + sequence * args.mask_batch_stride;
    rules.mask_query_stride = args.mask_query_stride;
    rules.mask_key_stride = args.mask_key_stride;
  }
  if (args.segment_ids != nullptr) rules.segment_ids = args.segment_ids + sequence * args.num_keys;
  return rules;
}

// Position of query t among the keys; negative for the first of more queries than keys.
inline int64_t position_of(const PairRules& rules, int64_t query) {
  return query + rules.num_keys - rules.num_queries;
}

enum class BlockKind : uint8_t { kSkip, kFull, kPartial };

inline BlockKind both(BlockKind a, BlockKind b) {
  if (a == BlockKind::kSkip || b == BlockKind::kSkip) return BlockKind::kSkip;
  return a == BlockKind::kFull ? b : a;
}

inline BlockKind either(BlockKind a, BlockKind b) {
  if (a == BlockKind::kFull || b == BlockKind::kFull) return BlockKind::kFull;
  return a == BlockKind::kSkip ? b : a;
}

inline BlockKind kind_of(bool all, bool none) {
  return all ? BlockKind::kFull : (none ? BlockKind::kSkip : BlockKind::kPartial);
}

inline int64_t floor_divide(int64_t a, int64_t b) {  // b > 0
  return a >= 0 ? a / b : -((b - 1 - a) / b);
}

// A rectangle of pairs: positions [first, last] of the queries, keys [key_first, key_last].
struct PairRange {
  int64_t first, last, key_first, key_last;
};

inline BlockKind causal_kind(const PairRules& rules, const PairRange& at) {
  return kind_of(at.key_last <= at.first || at.key_last<rules.prefix_len, at.key_first> at.last &&
                                                at.key_first >= rules.prefix_len);
}

inline BlockKind window_kind(const PairRange& at, int64_t window) {
  const int64_t ahead = at.key_last - at.first, behind = at.last - at.key_first;
  return kind_of(ahead < window && behind < window,
                 at.key_first - at.last >= window || at.first - at.key_last >= window);
}

inline BlockKind strided_kind(const PairRange& at, int64_t stride) {
  const int64_t low = at.first - at.key_last, high = at.last - at.key_first;
  return kind_of(stride == 1, floor_divide(high, stride) * stride < low);
}

inline BlockKind local_kind(const PairRange& at, int64_t stride) {
  const int64_t first = floor_divide(at.first, stride), last = floor_divide(at.last, stride);
  const int64_t key_first = at.key_first / stride, key_last = at.key_last / stride;
  return kind_of(first == last && key_first == key_last && first == key_first,
                 last < key_first || key_last < first);
}

inline BlockKind summary_kind(const PairRange& at, int64_t stride, int64_t summary) {
  const int64_t first = at.key_first % stride;
  const int64_t count = at.key_last - at.key_first + 1;
  const bool none = first + count <= stride - summary;
  const bool all = first >= stride - summary && first + count <= stride;
  return kind_of(summary == stride || all, none);
}

inline BlockKind sparse_kind(const PairRules& rules, const PairRange& at) {
  const int64_t stride = rules.stride;
  switch (rules.sparse) {
    case SparseKind::kStrided:
      return strided_kind(at, stride);
    case SparseKind::kLocalOrStrided:
      return either(strided_kind(at, stride), window_kind(at, stride));
    case SparseKind::kFixedLocal:
      return local_kind(at, stride);
    case SparseKind::kFixedSummary:
      return summary_kind(at, stride, rules.summary);
    case SparseKind::kFixed:
      return either(local_kind(at, stride), summary_kind(at, stride, rules.summary));
    default:
      return BlockKind::kFull;
  }
}

struct IdRange {
  int64_t low, high;
};

inline IdRange id_range(const int64_t* ids, int64_t begin, int64_t end) {
  IdRange range{ids[begin], ids[begin]};
  for (int64_t s = begin + 1; s < end; ++s) {
    range.low = ids[s] < range.low ? ids[s] : range.low;
    range.high = ids[s] > range.high ? ids[s] : range.high;
  }
  return range;
}

inline BlockKind segment_kind(const PairRules& rules, const PairRange& at) {
  const IdRange queries = id_range(rules.segment_ids, at.first, at.last + 1);
  const IdRange keys = id_range(rules.segment_ids, at.key_first, at.key_last + 1);
  return kind_of(queries.low == keys.high && queries.high == keys.low,
                 queries.high < keys.low || keys.high < queries.low);
}

// What the rules say of queries [query_begin, query_end) and keys [key_begin, key_end), neither
// empty, all of them inside the sequence. kFull and kSkip are certain; kPartial may be either.
inline BlockKind block_kind(const PairRules& rules, int64_t query_begin, int64_t query_end,
                            int64_t key_begin, int64_t key_end) {
  const PairRange at{position_of(rules, query_begin), position_of(rules, query_end - 1), key_begin,
                     key_end - 1};
  BlockKind kind = rules.causal ? causal_kind(rules, at) : BlockKind::kFull;
  if (kind == BlockKind::kSkip) return kind;
  if (rules.window > 0) kind = both(kind, window_kind(at, rules.window));
  if (rules.sparse != SparseKind::kFull) kind = both(kind, sparse_kind(rules, at));
  if (rules.mask != nullptr && key_end > rules.mask_first_key)
    kind = both(kind, BlockKind::kPartial);
  if (kind == BlockKind::kSkip) return kind;
  if (rules.segment_ids != nullptr) kind = both(kind, segment_kind(rules, at));
  return kind;
}

// --- the kept keys of one query in one block: bit j is key key_begin + j ------------------------

// Bits of [low, high), which may lie outside [0, 64).
inline uint64_t range_bits(int64_t low, int64_t high) {
  low = low < 0 ? 0 : low;
  high = high > 64 ? 64 : high;
  if (low >= high) return 0;
  const uint64_t below_high = high == 64 ? ~uint64_t{0} : (uint64_t{1} << high) - 1;
  return below_high & ~((uint64_t{1} << low) - 1);
}

inline uint64_t strided_bits(int64_t position, int64_t key_begin, int64_t stride) {
  const int64_t ahead = position - key_begin;
  uint64_t bits = 0;
  for (int64_t j = ahead - floor_divide(ahead, stride) * stride; j < 64; j += stride) {
    bits |= uint64_t{1} << j;
  }
  return bits;
}

inline uint64_t summary_bits(int64_t key_begin, int64_t stride, int64_t summary) {
  uint64_t bits = 0;
  for (int64_t end = stride - key_begin % stride; end - summary < 64; end += stride) {
    bits |= range_bits(end - summary, end);
  }
  return bits;
}

inline uint64_t sparse_bits(const PairRules& rules, int64_t position, int64_t key_begin) {
  const int64_t stride = rules.stride, ahead = position - key_begin;
  const int64_t local = floor_divide(position, stride) * stride - key_begin;
  switch (rules.sparse) {
    case SparseKind::kStrided:
      return strided_bits(position, key_begin, stride);
    case SparseKind::kLocalOrStrided:
      return strided_bits(position, key_begin, stride) |
             range_bits(ahead - stride + 1, ahead + stride);
    case SparseKind::kFixedLocal:
      return range_bits(local, local + stride);
    case SparseKind::kFixedSummary:
      return summary_bits(key_begin, stride, rules.summary);
    case SparseKind::kFixed:
      return range_bits(local, local + stride) | summary_bits(key_begin, stride, rules.summary);
    default:
      return ~uint64_t{0};
  }
}

// Bits of the `count` true bytes from `mask` on.
inline uint64_t byte_bits(const bool* mask, int64_t key_stride, int64_t count) {
#if defined(__SSE2__)
  if (key_stride == 1 && count == 64) {
    uint64_t bits = 0;
    for (int part = 0; part < 4; ++part) {
      const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(mask + 16 * part));
      const int zero = _mm_movemask_epi8(_mm_cmpeq_epi8(bytes, _mm_setzero_si128()));
      bits |= static_cast<uint64_t>(~zero & 0xFFFF) << (16 * part);
    }
    return bits;
  }
#endif
  const auto* bytes = reinterpret_cast<const unsigned char*>(mask);
  uint64_t bits = 0;
  for (int64_t j = 0; j < count; ++j) bits |= uint64_t{bytes[j * key_stride] != 0} << j;
  return bits;
}

inline uint64_t mask_bits(const PairRules& rules, int64_t query, int64_t key_begin, int64_t count) {
  const int64_t column = key_begin - rules.mask_first_key;
  const int64_t before = column < 0 ? (-column < count ? -column : count) : 0;
  if (before == count) return ~uint64_t{0};
  const bool* row = rules.mask + query * rules.mask_query_stride;
  const uint64_t bits = byte_bits(row + (column + before) * rules.mask_key_stride,
                                  rules.mask_key_stride, count - before);
  return (bits << before) | range_bits(0, before);
}

inline uint64_t segment_bits(const int64_t* ids, int64_t segment, int64_t count) {
  uint64_t bits = 0;
  int64_t j = 0;
#if defined(__AVX512F__)
  for (; j + 8 <= count; j += 8) {
    const __mmask8 same =
        _mm512_cmpeq_epi64_mask(_mm512_loadu_si512(ids + j), _mm512_set1_epi64(segment));
    bits |= uint64_t{same} << j;
  }
#endif
  for (; j < count; ++j) bits |= uint64_t{ids[j] == segment} << j;
  return bits;
}

// Every rule at once for query t and the block of keys at `key_begin` (0 <= key_begin < num_keys);
// bits beyond num_keys are 0.
inline uint64_t keep_bits(const PairRules& rules, int64_t query, int64_t key_begin) {
  const int64_t position = position_of(rules, query), ahead = position - key_begin;
  const int64_t left = rules.num_keys - key_begin, count = left < 64 ? left : 64;
  uint64_t bits = range_bits(0, count);
  if (rules.causal) bits &= range_bits(0, ahead + 1) | range_bits(0, rules.prefix_len - key_begin);
  if (rules.window > 0) bits &= range_bits(ahead - rules.window + 1, ahead + rules.window);
  if (rules.sparse != SparseKind::kFull) bits &= sparse_bits(rules, position, key_begin);
  if (bits != 0 && rules.mask != nullptr) bits &= mask_bits(rules, query, key_begin, count);
  if (bits != 0 && rules.segment_ids != nullptr) {
    bits &= segment_bits(rules.segment_ids + key_begin, rules.segment_ids[position], count);
  }
  return bits;
}

}  // namespace llmcore::cpu::LLMCORE_ISA
