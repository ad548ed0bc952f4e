// Schemas, checks and CPU implementations of paged_attention and append_to_cache_.
#ifndef LLMCORE_CUDA_LIBRARY

#include "ops/paged_attention.h"

#include "torch/attention_door.h"

namespace llmcore::door {

namespace {

constexpr const char* kAttend = "paged_attention";
constexpr const char* kAppend = "append_to_cache_";
constexpr int64_t kLargestPage = 256;

// The two halves of a cache, as the dispatcher gives them.
struct Cache {
  Tensor keys, values, key_scales, value_scales;
};

struct CacheShape {
  CacheType type;
  int64_t num_pages, page_size, num_kv_heads, head_dim, value_dim;
};

CacheType cache_type_of(const char* op, const char* argument, const Tensor& cache, DType dtype) {
  switch (cache.scalar_type()) {
    case ScalarType::Char:
      return CacheType::kInt8;
    case ScalarType::Float:
      if (dtype == DType::kFloat32) return CacheType::kFloat32;
      break;
    case ScalarType::BFloat16:
      if (dtype != DType::kFloat16) return CacheType::kBFloat16;
      break;
    case ScalarType::Half:
      if (dtype == DType::kFloat16) return CacheType::kFloat16;
      break;
    default:
      break;
  }
  fail(op, argument,
       std::string("int8, of the dtype ") + dtype_name(dtype) +
           " of the tokens, or bfloat16 under float32",
       "another dtype");
}

PageStrides page_strides(const char* op, const char* argument, const Tensor& cache) {
  if (cache.size(3) > 1 && cache.stride(3) != 1) {
    fail(op, argument, "contiguous along its last axis",
         "stride " + std::to_string(cache.stride(3)));
  }
  return {cache.stride(0), cache.stride(1), cache.stride(2)};
}

void check_scales(const char* op, const char* argument, const Tensor& scales,
                  const CacheShape& shape) {
  if (shape.type != CacheType::kInt8) {
    if (!is_absent(scales)) fail(op, argument, "absent unless the cache is int8", "a tensor");
    return;
  }
  check_axes(op, argument, scales,
             {{shape.num_pages, false}, {shape.page_size, false}, {shape.num_kv_heads, false}});
  check_dtype(op, argument, scales, {ScalarType::Float}, "float32");
  if (!scales.is_contiguous()) fail(op, argument, "contiguous", "other strides");
}

CacheShape check_cache(const char* op, const Cache& cache, DType dtype) {
  const Tensor &keys = cache.keys, &values = cache.values;
  if (keys.dim() != 4) fail(op, "key_cache", "(P, page, Hkv, D)", shape_text(keys));
  if (!keys.is_cpu()) fail(op, "key_cache", "on the CPU", "another device");
  CacheShape shape{cache_type_of(op, "key_cache", keys, dtype),
                   keys.size(0),
                   keys.size(1),
                   keys.size(2),
                   keys.size(3),
                   values.dim() == 4 ? values.size(3) : 0};
  check_axes(op, "value_cache", values,
             {{shape.num_pages, false},
              {shape.page_size, false},
              {shape.num_kv_heads, false},
              {shape.value_dim, false}});
  if (shape.page_size < 1 || shape.page_size > kLargestPage) {
    fail(op, "key_cache", "of pages of 1 to 256 tokens", shape_text(keys));
  }
  if (shape.num_kv_heads < 1 || shape.head_dim < 1) {
    fail(op, "key_cache", "of at least one head and channel", shape_text(keys));
  }
  if (cache_type_of(op, "value_cache", values, dtype) != shape.type) {
    fail(op, "value_cache", "of key_cache's dtype", "another dtype");
  }
  check_scales(op, "key_scales", cache.key_scales, shape);
  check_scales(op, "value_scales", cache.value_scales, shape);
  return shape;
}

float* scales_of(const Tensor& scales) {
  return is_absent(scales) ? nullptr : static_cast<float*>(scales.data_ptr());
}

// --- paged_attention -----------------------------------------------------------------------------

void check_tables(Tensor& block_tables, Tensor& seq_lens, const CacheShape& shape,
                  PagedAttentionArgs& args) {
  const int64_t batch = args.attention.num_sequences;
  to_integers(kAttend, "block_tables", block_tables);
  to_integers(kAttend, "seq_lens", seq_lens);
  args.max_pages = block_tables.dim() == 2 ? block_tables.size(1) : 0;
  check_axes(kAttend, "block_tables", block_tables, {{batch, false}, {args.max_pages, false}});
  check_axes(kAttend, "seq_lens", seq_lens, {{batch, false}});
  args.block_tables = integers_of(block_tables);
  args.seq_lens = integers_of(seq_lens);
  for (int64_t b = 0; b < batch; ++b) {
    const int64_t len = args.seq_lens[b];
    if (len < 0 || len > args.max_pages * shape.page_size) {
      fail(kAttend, "seq_lens",
           "from 0 to the " + std::to_string(args.max_pages * shape.page_size) +
               " tokens of a row of block_tables",
           std::to_string(len));
    }
    const int64_t* table = args.block_tables + b * args.max_pages;
    for (int64_t page = 0; page * shape.page_size < len; ++page) {
      if (table[page] < 0 || table[page] >= shape.num_pages) {
        fail(kAttend, "block_tables", "from 0 to " + std::to_string(shape.num_pages - 1),
             std::to_string(table[page]));
      }
    }
    if (len > args.attention.num_keys) args.attention.num_keys = len;
  }
}

void check_tree_mask(const Tensor& mask, PagedAttentionArgs& args, int64_t num_tokens) {
  if (is_absent(mask)) return;
  if (mask.dim() != 2 || mask.size(0) != num_tokens) {
    fail(kAttend, "mask", "(N, W) with N = " + std::to_string(num_tokens), shape_text(mask));
  }
  check_dtype(kAttend, "mask", mask, {ScalarType::Bool}, "bool");
  if (!mask.is_cpu()) fail(kAttend, "mask", "on the CPU as q is", "another device");
  args.mask = static_cast<const bool*>(mask.data_ptr());
  args.mask_query_stride = mask.stride(0);
  args.mask_key_stride = mask.stride(1);
  args.mask_width = mask.size(1);
}

void check_queries(AttentionInputs& in, const CacheShape& shape, AttentionArgs& args) {
  if (in.q.dim() != 3) fail(kAttend, "q", "(N, H, D)", shape_text(in.q));
  check_axes(kAttend, "q", in.q,
             {{in.q.size(0), false}, {in.q.size(1), false}, {shape.head_dim, false}});
  args.num_heads = in.q.size(1);
  args.num_kv_heads = shape.num_kv_heads;
  args.head_dim = shape.head_dim;
  args.value_dim = shape.value_dim;
  if (args.num_heads % args.num_kv_heads != 0) {
    fail(kAttend, "key_cache",
         "of a number of heads that divides " + std::to_string(args.num_heads),
         std::to_string(args.num_kv_heads));
  }
  if (is_absent(in.cu_seqlens_q)) fail(kAttend, "cu_seqlens_q", "(B + 1,)", "nothing");
  args.num_queries = check_cu_seqlens(kAttend, "cu_seqlens_q", in.cu_seqlens_q, in.q.size(0));
  args.num_sequences = in.cu_seqlens_q.size(0) - 1;
  args.cu_seqlens_q = integers_of(in.cu_seqlens_q);
}

Tensor paged_attention(Tensor q, Tensor key_cache, Tensor value_cache, Tensor block_tables,
                       Tensor seq_lens, Tensor cu_seqlens_q, Tensor mask, Tensor prefix_lens,
                       Tensor alibi_slopes, Tensor sinks, Tensor key_scales, Tensor value_scales,
                       double scale, double softcap, bool causal, int64_t window, int64_t sparse,
                       int64_t stride, int64_t summary) {
  AttentionInputs in{.q = q,
                     .k = key_cache,
                     .v = value_cache,
                     .mask = mask,
                     .bias = q,
                     .segment_ids = q,
                     .prefix_lens = prefix_lens,
                     .alibi_slopes = alibi_slopes,
                     .sinks = sinks,
                     .cu_seqlens_q = cu_seqlens_q,
                     .cu_seqlens_k = cu_seqlens_q,
                     .scale = scale,
                     .softcap = softcap,
                     .dropout = 0,
                     .dropout_seed = 0,
                     .causal = causal,
                     .window = window,
                     .sparse = sparse,
                     .stride = stride,
                     .summary = summary};
  PagedAttentionArgs args{};
  args.attention.dtype = dtype_of(kAttend, "q", q);
  const Cache cache{key_cache, value_cache, key_scales, value_scales};
  const CacheShape shape = check_cache(kAttend, cache, args.attention.dtype);
  check_queries(in, shape, args.attention);
  check_tables(block_tables, seq_lens, shape, args);
  check_tree_mask(mask, args, q.size(0));
  check_head_tensors(kAttend, in, args.attention);
  check_numbers(kAttend, in, args.attention);
  args.key_strides = page_strides(kAttend, "key_cache", key_cache);
  args.value_strides = page_strides(kAttend, "value_cache", value_cache);
  args.key_cache = key_cache.data_ptr();
  args.value_cache = value_cache.data_ptr();
  args.key_scales = scales_of(key_scales);
  args.value_scales = scales_of(value_scales);
  args.cache_type = shape.type;
  args.page_size = shape.page_size;
  args.attention.q_strides = head_strides(in.q);
  args.attention.q = in.q.data_ptr();
  const int64_t sizes[3] = {q.size(0), q.size(1), shape.value_dim};
  Tensor out = torch::stable::new_empty(q, {sizes, 3});
  args.attention.out = out.mutable_data_ptr();
  args.attention.out_strides = packed_strides(true, sizes[0], sizes[1], sizes[2]);
  cpu::paged_attention(args, torch_threads());
  return out;
}

// --- append_to_cache_ ----------------------------------------------------------------------------

void check_slots(Tensor& slots, int64_t num_tokens, int64_t num_slots) {
  to_integers(kAppend, "slots", slots);
  check_axes(kAppend, "slots", slots, {{num_tokens, false}});
  const int64_t* at = integers_of(slots);
  for (int64_t n = 0; n < num_tokens; ++n) {
    if (at[n] < 0 || at[n] >= num_slots) {
      fail(kAppend, "slots", "from 0 to " + std::to_string(num_slots - 1), std::to_string(at[n]));
    }
  }
}

void append_to_cache(Tensor k, Tensor v, Tensor key_cache, Tensor value_cache, Tensor slots,
                     Tensor key_scales, Tensor value_scales) {
  const DType dtype = dtype_of(kAppend, "k", k);
  if (dtype_of(kAppend, "v", v) != dtype) fail(kAppend, "v", "of k's dtype", "another dtype");
  const CacheShape shape =
      check_cache(kAppend, {key_cache, value_cache, key_scales, value_scales}, dtype);
  if (k.dim() != 3) fail(kAppend, "k", "(N, Hkv, D)", shape_text(k));
  const AxisRule tokens{k.size(0), false}, heads{shape.num_kv_heads, false};
  check_axes(kAppend, "k", k, {tokens, heads, {shape.head_dim, false}});
  check_axes(kAppend, "v", v, {tokens, heads, {shape.value_dim, false}});
  check_slots(slots, k.size(0), shape.num_pages * shape.page_size);
  AppendToCacheArgs args{};
  args.k_strides = head_strides(k);
  args.v_strides = head_strides(v);
  args.k = k.data_ptr();
  args.v = v.data_ptr();
  args.key_strides = page_strides(kAppend, "key_cache", key_cache);
  args.value_strides = page_strides(kAppend, "value_cache", value_cache);
  args.key_cache = key_cache.mutable_data_ptr();
  args.value_cache = value_cache.mutable_data_ptr();
  args.key_scales = scales_of(key_scales);
  args.value_scales = scales_of(value_scales);
  args.dtype = dtype;
  args.cache_type = shape.type;
  args.page_size = shape.page_size;
  args.slots = integers_of(slots);
  args.num_tokens = k.size(0);
  args.num_kv_heads = shape.num_kv_heads;
  args.head_dim = shape.head_dim;
  args.value_dim = shape.value_dim;
  cpu::append_to_cache(args, torch_threads());
}

}  // namespace

STABLE_TORCH_LIBRARY_FRAGMENT(llmcore, m) {
  // An empty tensor is an absent one.
  m.def(
      "paged_attention(Tensor q, Tensor key_cache, Tensor value_cache, Tensor block_tables, "
      "Tensor seq_lens, Tensor cu_seqlens_q, Tensor mask, Tensor prefix_lens, "
      "Tensor alibi_slopes, Tensor sinks, Tensor key_scales, Tensor value_scales, float scale, "
      "float softcap, bool causal, int window, int sparse, int stride, int summary) -> Tensor");
  m.def(
      "append_to_cache_(Tensor k, Tensor v, Tensor(a!) key_cache, Tensor(b!) value_cache, "
      "Tensor slots, Tensor(c!) key_scales, Tensor(d!) value_scales) -> ()");
}

STABLE_TORCH_LIBRARY_IMPL(llmcore, CPU, m) {
  m.impl("paged_attention", TORCH_BOX(&paged_attention));
  m.impl("append_to_cache_", TORCH_BOX(&append_to_cache));
}

}  // namespace llmcore::door

#endif
