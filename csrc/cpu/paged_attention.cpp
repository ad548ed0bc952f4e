// See ops/paged_attention.h. The arithmetic is that of cpu/attention_core.h; only where a token
// lies differs, so that paged and contiguous attention agree to the bit.
//
// Ladder: decoding, one thread by its CPU time, on an AMD EPYC (Zen 4, avx512_bf16) whose memory
// others used too (a plain read gave 15-20 GB/s); GB/s of the cache read, bench_attention
// --threads 1 --filter decode.        H/Hkv x D, page   32/8x128, 16  8/8x64, 64   16/4x80, 1
//                                                       f32   bf16    f32   bf16   f32   bf16
//   1. whole blocks of all heads packed first           11.1   9.1    11.6   9.4    6.4   5.5
//   2. few rows: values read where they lie, a head
//      packed when its turn comes, the next block's
//      lines prefetched into the second-level cache     12.4  12.8    15.2  14.7   11.1   9.7
//   3. the next head's lines rather than a block's      12.8  14.0    16.9  17.4   13.6   9.0
//   4. keys by strips in the first-level cache          15.4  14.2    16.8  18.4   13.7   8.1
//   5. ragged rows prefetched to their end, all heads
//      of float32 in a task  <- this                    15.2  14.2    16.4  17.2   13.1   9.7
// Two threads (`make bench`), % of read, these shapes in order: 78, 52, 82, 84, 73, 55; int8 42
// to 50. Memory bounds these, at page 1 its latency for scattered pieces; arithmetic bounds int8,
// whose bytes are each converted and meet four heads. Prefetch into the first-level cache did not
// help.
#include "ops/paged_attention.h"

#include "cpu/attention_run.h"
#include "cpu/isa_variant.h"
#include "cpu/tuning.h"

namespace llmcore::cpu::LLMCORE_ISA {

namespace {

// Keys and values of one sequence in pages.
template <class T>
struct PagedRows {
  const PagedAttentionArgs& args;
  const int64_t* table;
  int64_t k_head_bytes, v_head_bytes;

  static constexpr bool kScaled = sizeof(T) == 1;

  // Calls place(j, page, offset) for the tokens begin + j.
  template <class Place>
  void for_tokens(int64_t begin, int64_t count, const Place& place) const {
    int64_t entry = begin / args.page_size, offset = begin % args.page_size;
    for (int64_t j = 0; j < count; ++j) {
      place(j, table[entry], offset);
      if (++offset == args.page_size) {
        offset = 0;
        ++entry;
      }
    }
  }

  void fill(int64_t begin, int64_t count, BlockRows& block) const {
    constexpr auto kBytes = static_cast<int64_t>(sizeof(T));
    const PageStrides &k = args.key_strides, &v = args.value_strides;
    const auto* keys = static_cast<const char*>(args.key_cache);
    const auto* values = static_cast<const char*>(args.value_cache);
    block.count = count;
    for_tokens(begin, count, [&](int64_t j, int64_t page, int64_t offset) {
      block.k[j] = keys + (page * k.page + offset * k.token) * kBytes;
      block.v[j] = values + (page * v.page + offset * v.token) * kBytes;
    });
  }

  void scales(int64_t kv_head, int64_t begin, int64_t count, float* k, float* v) const {
    const int64_t heads = args.attention.num_kv_heads;
    for (int64_t j = 0; j < kBlockKeys; ++j) k[j] = v[j] = 0.0f;
    for_tokens(begin, count, [&](int64_t j, int64_t page, int64_t offset) {
      const int64_t at = (page * args.page_size + offset) * heads + kv_head;
      k[j] = args.key_scales[at];
      v[j] = args.value_scales[at];
    });
  }
};

template <class T>
struct Paged {
  const PagedAttentionArgs& args;

  int64_t first_token(int64_t sequence) const { return args.attention.cu_seqlens_q[sequence]; }

  PairRules rules(int64_t sequence) const {
    PairRules rules = common_rules(args.attention, sequence, args.seq_lens[sequence]);
    const int64_t first = first_token(sequence);
    rules.num_queries = first_token(sequence + 1) - first;
    if (args.mask != nullptr) {
      rules.mask = args.mask + first * args.mask_query_stride;
      rules.mask_query_stride = args.mask_query_stride;
      rules.mask_key_stride = args.mask_key_stride;
      rules.mask_first_key = rules.num_keys - args.mask_width;
    }
    return rules;
  }

  PagedRows<T> source(int64_t sequence) const {
    constexpr auto kBytes = static_cast<int64_t>(sizeof(T));
    return {args, args.block_tables + sequence * args.max_pages, args.key_strides.head * kBytes,
            args.value_strides.head * kBytes};
  }
};

template <bool kPairs, class T, class KV>
void run(const PagedAttentionArgs& args, const ParallelFor& parallel_for) {
  run_attention<kPairs, T, KV>(args.attention, Paged<KV>{args}, parallel_for);
}

template <bool kPairs, class T>
void run_on_own(const PagedAttentionArgs& args, const ParallelFor& parallel_for) {
  if (args.cache_type == CacheType::kInt8) {
    run<kPairs, T, Int8>(args, parallel_for);
  } else {
    run<kPairs, T, T>(args, parallel_for);
  }
}

// --- appending -----------------------------------------------------------------------------------

template <class T, class Cache>
void convert_row(const T* from, int64_t count, Cache* to) {
  int64_t i = 0;
  for (; i + kWidth <= count; i += kWidth) store(to + i, load(from + i));
  if (i < count) store_tail(to + i, load_tail(from + i, count - i), count - i);
}

template <class T>
float largest_magnitude(const T* row, int64_t count) {
  VecF largest = {}, nan = {};
  for (int64_t i = 0; i < count; i += kWidth) {
    const VecF x = count - i < kWidth ? load_tail(row + i, count - i) : load(row + i);
    largest = maximum(largest, absolute(x));
    nan += x * 0.0f;  // 0, or NaN for good
  }
  return largest_lane(largest) + sum_lanes(nan);
}

template <class T>
float quantize_row(const T* row, int64_t count, Int8* to) {
  const float largest = largest_magnitude(row, count), scale = largest / 127.0f;
  const bool has_scale = scale > 0.0f && largest < __builtin_inff();
  if (!has_scale) {
    for (int64_t i = 0; i < count; ++i) to[i].bits = 0;
    return 0.0f;
  }
  for (int64_t i = 0; i < count; i += kWidth) {
    const int64_t there = count - i < kWidth ? count - i : kWidth;
    const VecF x = there < kWidth ? load_tail(row + i, there) : load(row + i);
    const VecF rounded = (x / scale + kRoundingShift) - kRoundingShift;  // half to even
    float lanes[kWidth];
    store(lanes, minimum(broadcast(127.0f), maximum(broadcast(-127.0f), rounded)));
    for (int64_t j = 0; j < there; ++j) to[i + j].bits = static_cast<int8_t>(lanes[j]);
  }
  return scale;
}

template <class T, class Cache>
void append_row(const T* from, int64_t count, void* cache, int64_t at, float* scale) {
  Cache* to = static_cast<Cache*>(cache) + at;
  if constexpr (sizeof(Cache) == 1) {
    *scale = quantize_row(from, count, to);
  } else {
    convert_row(from, count, to);
  }
}

template <class T, class Cache>
void append_tokens(const AppendToCacheArgs& args, int64_t begin, int64_t end) {
  for (int64_t n = begin; n < end; ++n) {
    const int64_t slot = args.slots[n], page = slot / args.page_size;
    const int64_t offset = slot % args.page_size;
    const auto in_cache = [&](const PageStrides& at, int64_t head) {
      return page * at.page + offset * at.token + head * at.head;
    };
    for (int64_t head = 0; head < args.num_kv_heads; ++head) {
      const int64_t scale = slot * args.num_kv_heads + head;
      const T* k =
          static_cast<const T*>(args.k) + n * args.k_strides.token + head * args.k_strides.head;
      const T* v =
          static_cast<const T*>(args.v) + n * args.v_strides.token + head * args.v_strides.head;
      append_row<T, Cache>(k, args.head_dim, args.key_cache, in_cache(args.key_strides, head),
                           args.key_scales + (sizeof(Cache) == 1 ? scale : 0));
      append_row<T, Cache>(v, args.value_dim, args.value_cache, in_cache(args.value_strides, head),
                           args.value_scales + (sizeof(Cache) == 1 ? scale : 0));
    }
  }
}

template <class T, class Cache>
void append(const AppendToCacheArgs& args, const ParallelFor& parallel_for) {
  const auto tokens = [&](int64_t begin, int64_t end) {
    append_tokens<T, Cache>(args, begin, end);
  };
  const int64_t elements = args.num_kv_heads * (args.head_dim + args.value_dim);
  parallel_for(0, args.num_tokens, grain_rows(elements), tokens);
}

template <class T>
void append_own(const AppendToCacheArgs& args, const ParallelFor& parallel_for) {
  if (args.cache_type == CacheType::kInt8) {
    append<T, Int8>(args, parallel_for);
  } else {
    append<T, T>(args, parallel_for);
  }
}

}  // namespace

void paged_attention(const PagedAttentionArgs& args, const ParallelFor& parallel_for) {
#if defined(__AVX512BF16__)
  constexpr bool kPairs = true;
#else
  constexpr bool kPairs = false;
#endif
  switch (args.attention.dtype) {
    case DType::kFloat32:
      if (args.cache_type == CacheType::kBFloat16) {
        return run<false, float, BFloat16>(args, parallel_for);
      }
      return run_on_own<false, float>(args, parallel_for);
    case DType::kBFloat16:
      return run_on_own<kPairs, BFloat16>(args, parallel_for);
    default:
      return run_on_own<false, Float16>(args, parallel_for);
  }
}

void append_to_cache(const AppendToCacheArgs& args, const ParallelFor& parallel_for) {
  switch (args.dtype) {
    case DType::kFloat32:
      if (args.cache_type == CacheType::kBFloat16) {
        return append<float, BFloat16>(args, parallel_for);
      }
      return append_own<float>(args, parallel_for);
    case DType::kBFloat16:
      return append_own<BFloat16>(args, parallel_for);
    default:
      return append_own<Float16>(args, parallel_for);
  }
}

}  // namespace llmcore::cpu::LLMCORE_ISA
