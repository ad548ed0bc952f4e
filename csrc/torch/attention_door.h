// Checks of llmcore::attention's arguments, shared by the forward and the backward door.
#pragma once

#include <cmath>
#include <initializer_list>
#include <string>

#include "ops/attention.h"
#include "torch/abi.h"

namespace llmcore::door {

using torch::headeronly::ScalarType;

// The arguments as the dispatcher gives them; an empty tensor is an absent one.
struct AttentionInputs {
  Tensor q, k, v, mask, bias, segment_ids, prefix_lens, alibi_slopes, sinks, cu_seqlens_q,
      cu_seqlens_k;
  double scale, softcap, dropout;
  int64_t dropout_seed;
  bool causal;
  int64_t window, sparse, stride, summary;
};

constexpr int64_t kLargestWindow = int64_t{1} << 40;  // sums with positions stay in 64 bits
constexpr int64_t kLargestStride = int64_t{1} << 31;

[[noreturn]] inline void fail(const char* op, const char* argument, const std::string& expected,
                              const std::string& got) {
  throw std::runtime_error(std::string(op) + ": " + argument + " must be " + expected + ", got " +
                           got);
}

inline std::string shape_text(const Tensor& tensor) {
  std::string text = "(";
  for (int64_t i = 0; i < tensor.dim(); ++i) {
    text += (i > 0 ? ", " : "") + std::to_string(tensor.size(i));
  }
  return text + (tensor.dim() == 1 ? ",)" : ")");
}

inline bool is_absent(const Tensor& tensor) {
  return tensor.numel() == 0;
}

// Each axis must have its size; where `may_broadcast`, 1 will do.
struct AxisRule {
  int64_t size;
  bool may_broadcast;
};

inline void check_axes(const char* op, const char* argument, const Tensor& tensor,
                       std::initializer_list<AxisRule> axes) {
  bool fits = tensor.dim() == static_cast<int64_t>(axes.size());
  std::string expected = "(";
  int64_t i = 0;
  for (const AxisRule& axis : axes) {
    const bool broadcasts = fits && axis.may_broadcast && tensor.size(i) == 1;
    fits = fits && (broadcasts || tensor.size(i) == axis.size);
    expected += (i++ > 0 ? ", " : "") + std::to_string(axis.size);
    if (axis.may_broadcast) expected += " or 1";
  }
  if (!fits) fail(op, argument, expected + (axes.size() == 1 ? ",)" : ")"), shape_text(tensor));
  if (!tensor.is_cpu()) fail(op, argument, "on the CPU as q is", "another device");
}

inline void check_dtype(const char* op, const char* argument, const Tensor& tensor,
                        std::initializer_list<ScalarType> allowed, const char* expected) {
  for (ScalarType type : allowed) {
    if (tensor.scalar_type() == type) return;
  }
  fail(op, argument, expected, "another dtype");
}

// The same numbers, contiguous and in `type`; the tensor itself where it is so already.
inline Tensor packed_as(const Tensor& tensor, ScalarType type) {
  if (tensor.scalar_type() == type) return packed(tensor);
  return packed(torch::stable::to(tensor, type));
}

inline void to_integers(const char* op, const char* argument, Tensor& tensor) {
  check_dtype(op, argument, tensor, {ScalarType::Long, ScalarType::Int}, "int64 or int32");
  tensor = packed_as(tensor, ScalarType::Long);
}

inline const int64_t* integers_of(const Tensor& tensor) {
  return static_cast<const int64_t*>(tensor.data_ptr());
}

// A last axis of stride 1 costs a copy where it is not so.
inline HeadStrides head_strides(Tensor& tensor) {
  const int64_t rank = tensor.dim();
  if (tensor.stride(rank - 1) != 1 && tensor.size(rank - 1) != 1) {
    tensor = torch::stable::contiguous(tensor);
  }
  return {rank == 4 ? tensor.stride(0) : 0, tensor.stride(rank - 3), tensor.stride(rank - 2)};
}

// The length of the longest sequence; `tokens` is the packed tensor's first axis.
inline int64_t check_cu_seqlens(const char* op, const char* argument, Tensor& cu_seqlens,
                                int64_t tokens) {
  to_integers(op, argument, cu_seqlens);
  if (cu_seqlens.dim() != 1) fail(op, argument, "(B + 1,)", shape_text(cu_seqlens));
  if (!cu_seqlens.is_cpu()) fail(op, argument, "on the CPU as q is", "another device");
  const int64_t* at = integers_of(cu_seqlens);
  const int64_t last = cu_seqlens.size(0) - 1;
  if (at[0] != 0 || at[last] != tokens) {
    fail(op, argument, "from 0 to " + std::to_string(tokens),
         std::to_string(at[0]) + " to " + std::to_string(at[last]));
  }
  int64_t longest = 0;
  for (int64_t b = 0; b < last; ++b) {
    if (at[b + 1] < at[b]) {
      fail(op, argument, "non-decreasing",
           std::to_string(at[b]) + " before " + std::to_string(at[b + 1]));
    }
    if (at[b + 1] - at[b] > longest) longest = at[b + 1] - at[b];
  }
  return longest;
}

inline void check_heads(const char* op, AttentionInputs& in, AttentionArgs& args) {
  args.dtype = dtype_of(op, "q", in.q);
  const int64_t rank = in.q.dim();
  if (rank != 4 && rank != 3) fail(op, "q", "(B, T, H, D) or (N, H, D)", shape_text(in.q));
  if (!in.q.is_cpu()) fail(op, "q", "on the CPU", "another device");
  if (dtype_of(op, "k", in.k) != args.dtype) fail(op, "k", "of q's dtype", "another dtype");
  if (dtype_of(op, "v", in.v) != args.dtype) fail(op, "v", "of q's dtype", "another dtype");
  args.num_heads = in.q.size(rank - 2);
  args.head_dim = in.q.size(rank - 1);
  if (args.head_dim < 1) fail(op, "q", "of a head_dim of at least 1", shape_text(in.q));
  if (in.k.dim() != rank || in.v.dim() != rank) {
    fail(op, in.k.dim() != rank ? "k" : "v", "of as many axes as q",
         shape_text(in.k.dim() != rank ? in.k : in.v));
  }
  args.num_kv_heads = in.k.size(rank - 2);
  args.value_dim = in.v.size(rank - 1);
  if (args.num_kv_heads < 1 || args.num_heads % args.num_kv_heads != 0) {
    fail(op, "k", "of a number of heads that divides " + std::to_string(args.num_heads),
         shape_text(in.k));
  }
  const int64_t keys = in.k.size(rank - 3);
  if (rank == 4) {
    args.num_sequences = in.q.size(0);
    args.num_queries = in.q.size(1);
    args.num_keys = keys;
    const AxisRule batch{args.num_sequences, false};
    check_axes(op, "k", in.k,
               {batch, {keys, false}, {args.num_kv_heads, false}, {args.head_dim, false}});
    check_axes(op, "v", in.v,
               {batch, {keys, false}, {args.num_kv_heads, false}, {args.value_dim, false}});
  } else {
    check_axes(op, "k", in.k, {{keys, false}, {args.num_kv_heads, false}, {args.head_dim, false}});
    check_axes(op, "v", in.v, {{keys, false}, {args.num_kv_heads, false}, {args.value_dim, false}});
  }
}

inline void check_packing(const char* op, AttentionInputs& in, AttentionArgs& args) {
  if (in.q.dim() == 4) {
    if (!is_absent(in.cu_seqlens_q) || !is_absent(in.cu_seqlens_k)) {
      fail(op, "cu_seqlens_q", "absent where q is (B, T, H, D)", shape_text(in.cu_seqlens_q));
    }
    return;
  }
  if (is_absent(in.cu_seqlens_q)) fail(op, "cu_seqlens_q", "(B + 1,)", "nothing");
  if (is_absent(in.cu_seqlens_k)) fail(op, "cu_seqlens_k", "(B + 1,)", "nothing");
  args.num_queries = check_cu_seqlens(op, "cu_seqlens_q", in.cu_seqlens_q, in.q.size(0));
  args.num_keys = check_cu_seqlens(op, "cu_seqlens_k", in.cu_seqlens_k, in.k.size(0));
  check_axes(op, "cu_seqlens_k", in.cu_seqlens_k, {{in.cu_seqlens_q.size(0), false}});
  args.num_sequences = in.cu_seqlens_q.size(0) - 1;
  args.cu_seqlens_q = integers_of(in.cu_seqlens_q);
  args.cu_seqlens_k = integers_of(in.cu_seqlens_k);
  for (const Tensor* tensor : {&in.mask, &in.bias, &in.segment_ids}) {
    if (!is_absent(*tensor))
      fail(op, "mask, bias and segment_ids", "absent for packed tokens", "one");
  }
}

inline int64_t broadcast_stride(const Tensor& tensor, int64_t axis) {
  return tensor.size(axis) == 1 ? 0 : tensor.stride(axis);
}

inline void check_pair_tensors(const char* op, AttentionInputs& in, AttentionArgs& args) {
  const int64_t batch = args.num_sequences, queries = args.num_queries, keys = args.num_keys;
  if (!is_absent(in.mask)) {
    check_axes(op, "mask", in.mask, {{batch, true}, {queries, false}, {keys, false}});
    check_dtype(op, "mask", in.mask, {ScalarType::Bool}, "bool");
    args.mask = static_cast<const bool*>(in.mask.data_ptr());
    args.mask_batch_stride = broadcast_stride(in.mask, 0);
    args.mask_query_stride = in.mask.stride(1);
    args.mask_key_stride = in.mask.stride(2);
  }
  if (!is_absent(in.bias)) {
    check_axes(op, "bias", in.bias,
               {{batch, true}, {args.num_heads, true}, {queries, true}, {keys, true}});
    if (dtype_of(op, "bias", in.bias) != args.dtype) {
      fail(op, "bias", "of q's dtype", "another dtype");
    }
    args.bias = in.bias.data_ptr();
    args.bias_batch_stride = broadcast_stride(in.bias, 0);
    args.bias_head_stride = broadcast_stride(in.bias, 1);
    args.bias_query_stride = broadcast_stride(in.bias, 2);
    args.bias_key_stride = broadcast_stride(in.bias, 3);
  }
  if (!is_absent(in.segment_ids)) {
    check_axes(op, "segment_ids", in.segment_ids, {{batch, false}, {keys, false}});
    if (queries > keys) {
      fail(op, "segment_ids", "of at least as many keys as queries", shape_text(in.segment_ids));
    }
    to_integers(op, "segment_ids", in.segment_ids);
    args.segment_ids = integers_of(in.segment_ids);
  }
}

inline void check_head_tensors(const char* op, AttentionInputs& in, AttentionArgs& args) {
  if (!is_absent(in.prefix_lens)) {
    check_axes(op, "prefix_lens", in.prefix_lens, {{args.num_sequences, false}});
    to_integers(op, "prefix_lens", in.prefix_lens);
    args.prefix_lens = integers_of(in.prefix_lens);
  }
  if (!is_absent(in.alibi_slopes)) {
    check_axes(op, "alibi_slopes", in.alibi_slopes, {{args.num_heads, false}});
    check_dtype(op, "alibi_slopes", in.alibi_slopes, {ScalarType::Float}, "float32");
    in.alibi_slopes = packed(in.alibi_slopes);
    args.alibi_slopes = static_cast<const float*>(in.alibi_slopes.data_ptr());
  }
  if (!is_absent(in.sinks)) {
    check_axes(op, "sinks", in.sinks, {{args.num_heads, false}});
    check_dtype(op, "sinks", in.sinks, {ScalarType::Float, ScalarType::BFloat16, ScalarType::Half},
                "float32 or of q's dtype");
    in.sinks = packed_as(in.sinks, ScalarType::Float);
    args.sinks = static_cast<const float*>(in.sinks.data_ptr());
  }
}

inline void check_numbers(const char* op, const AttentionInputs& in, AttentionArgs& args) {
  const auto number = [](auto value) { return std::to_string(value); };
  if (!std::isfinite(static_cast<float>(in.scale))) fail(op, "scale", "finite", number(in.scale));
  if (!(in.softcap >= 0) || !std::isfinite(static_cast<float>(in.softcap))) {
    fail(op, "softcap", "finite and at least 0", number(in.softcap));
  }
  if (!(in.dropout >= 0 && static_cast<float>(in.dropout) < 1)) {
    fail(op, "dropout", "in [0, 1)", number(in.dropout));
  }
  if (in.window < 0) fail(op, "window", "at least 0", number(in.window));
  if (in.sparse < 0 || in.sparse > static_cast<int64_t>(SparseKind::kFixed)) {
    fail(op, "sparse", "from 0 to 5", number(in.sparse));
  }
  args.sparse = static_cast<SparseKind>(in.sparse);
  if (in.sparse != 0 && (in.stride < 1 || in.stride > kLargestStride)) {
    fail(op, "stride", "from 1 to 2^31", number(in.stride));
  }
  const bool has_summary =
      args.sparse == SparseKind::kFixedSummary || args.sparse == SparseKind::kFixed;
  if (has_summary && (in.summary < 1 || in.summary > in.stride)) {
    fail(op, "summary", "from 1 to stride " + number(in.stride), number(in.summary));
  }
  args.scale = static_cast<float>(in.scale);
  args.softcap = static_cast<float>(in.softcap);
  args.dropout = static_cast<float>(in.dropout);
  args.dropout_seed = static_cast<uint64_t>(in.dropout_seed);
  args.causal = in.causal;
  args.window = in.window < kLargestWindow ? in.window : kLargestWindow;
  args.stride = in.stride;
  args.summary = in.summary;
}

// Checks everything and fills all but out and lse. Tensors that had to be converted are replaced in
// `in`, which must outlive the arguments.
inline AttentionArgs attention_args(const char* op, AttentionInputs& in) {
  AttentionArgs args{};
  check_heads(op, in, args);
  check_packing(op, in, args);
  check_pair_tensors(op, in, args);
  check_head_tensors(op, in, args);
  check_numbers(op, in, args);
  args.q_strides = head_strides(in.q);
  args.k_strides = head_strides(in.k);
  args.v_strides = head_strides(in.v);
  args.q = in.q.data_ptr();
  args.k = in.k.data_ptr();
  args.v = in.v.data_ptr();
  return args;
}

// Strides of a contiguous (B, T, heads, width) or (N, heads, width).
inline HeadStrides packed_strides(bool is_packed, int64_t tokens, int64_t heads, int64_t width) {
  return {is_packed ? 0 : tokens * heads * width, heads * width, width};
}

}  // namespace llmcore::door
