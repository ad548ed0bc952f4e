// Attention over a cache of pages, and the op that writes new tokens into it. Kwon et al. 2023,
// arXiv:2309.06180.
//
// Key s of sequence b lies in page block_tables[b][s / page_size] at offset s % page_size. Query t
// of the T queries of a sequence with S = seq_lens[b] keys has position t + S - T; the formulas and
// rules are those of ops/attention.h, and so is the order of the sums: the bits are the same.
//
// An int8 cache holds round(x / scale) with one scale per (token, head), the row's largest
// magnitude / 127; a row of zeros, or of numbers that are not finite, holds zeros.
#pragma once

#include <cstdint>

#include "core/dtype.h"
#include "core/parallel.h"
#include "ops/attention.h"

namespace llmcore {

// Where (page, offset, head, 0) lies, in elements; the last axis is contiguous.
struct PageStrides {
  int64_t page;
  int64_t token;
  int64_t head;
};

// The cache's element type: that of q, bfloat16 under float32 queries, or int8.
enum class CacheType : uint8_t { kFloat32, kBFloat16, kFloat16, kInt8 };

struct PagedAttentionArgs {
  // q, out, heads, widths, dtype, scale, softcap, rules and vectors, as of packed queries (N, H,
  // D); num_keys is the longest of seq_lens. k, v, cu_seqlens_k, mask, bias and segment_ids are
  // unused.
  AttentionArgs attention;
  const void* key_cache;    // (P, page_size, Hkv, D)
  const void* value_cache;  // (P, page_size, Hkv, Dv)
  PageStrides key_strides, value_strides;
  const float* key_scales;  // (P, page_size, Hkv) contiguous, or null unless the cache is int8
  const float* value_scales;
  CacheType cache_type;
  int64_t page_size;
  const int64_t* block_tables;  // (B, max_pages) contiguous
  int64_t max_pages;
  const int64_t* seq_lens;  // (B)
  // True = keep, of packed query n and the last mask_width keys of its sequence; earlier keys are
  // kept. Or null.
  const bool* mask;
  int64_t mask_query_stride, mask_key_stride;
  int64_t mask_width;
};

struct AppendToCacheArgs {
  const void* k;  // (N, Hkv, D)
  const void* v;  // (N, Hkv, Dv)
  HeadStrides k_strides, v_strides;
  void* key_cache;
  void* value_cache;
  PageStrides key_strides, value_strides;
  float* key_scales;  // as above
  float* value_scales;
  DType dtype;  // of k and v
  CacheType cache_type;
  int64_t page_size;
  const int64_t* slots;  // (N), page * page_size + offset, distinct
  int64_t num_tokens;
  int64_t num_kv_heads;
  int64_t head_dim;
  int64_t value_dim;
};

namespace cpu {

void paged_attention(const PagedAttentionArgs& args, const ParallelFor& parallel_for);
void append_to_cache(const AppendToCacheArgs& args, const ParallelFor& parallel_for);

}  // namespace cpu

}  // namespace llmcore
