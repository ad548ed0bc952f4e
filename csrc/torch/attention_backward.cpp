// Checks and the CPU implementation of the gradient of attention; its schema is in attention.cpp.
#ifndef LLMCORE_CUDA_LIBRARY

#include "ops/attention_backward.h"

#include <tuple>

#include "torch/attention_door.h"

namespace llmcore::door {

namespace {

constexpr const char* kOp = "attention_backward";

// What the forward left and what comes back to it.
struct BackwardInputs {
  Tensor dout, out, lse;
  bool wants_bias, wants_sinks;
};

using Gradients = std::tuple<Tensor, Tensor, Tensor, Tensor, Tensor>;

void check_saved(BackwardInputs& saved, const AttentionInputs& in, AttentionBackwardArgs& args) {
  AttentionArgs& forward = args.forward;
  const AxisRule heads{forward.num_heads, false}, width{forward.value_dim, false};
  const AxisRule queries{in.q.size(in.q.dim() - 3), false}, batch{forward.num_sequences, false};
  const bool is_packed = in.q.dim() == 3;
  const auto check_like_out = [&](const char* name, const Tensor& tensor) {
    if (is_packed) {
      check_axes(kOp, name, tensor, {queries, heads, width});
    } else {
      check_axes(kOp, name, tensor, {batch, queries, heads, width});
    }
    if (dtype_of(kOp, name, tensor) != forward.dtype) {
      fail(kOp, name, "of q's dtype", "another dtype");
    }
  };
  check_like_out("dout", saved.dout);
  check_like_out("out", saved.out);
  if (is_packed) {
    check_axes(kOp, "lse", saved.lse, {heads, queries});
  } else {
    check_axes(kOp, "lse", saved.lse, {batch, heads, queries});
  }
  check_dtype(kOp, "lse", saved.lse, {ScalarType::Float}, "float32");
  saved.lse = packed(saved.lse);
  args.dout_strides = head_strides(saved.dout);
  forward.out_strides = head_strides(saved.out);
  args.dout = saved.dout.data_ptr();
  forward.out = saved.out.data_ptr();
  forward.lse = static_cast<float*>(saved.lse.data_ptr());
}

Tensor gradient_of(const Tensor& tensor, HeadStrides& strides) {
  Tensor gradient = torch::stable::new_empty(tensor, tensor.sizes());
  const int64_t rank = tensor.dim();
  strides = packed_strides(rank == 3, tensor.size(rank - 3), tensor.size(rank - 2),
                           tensor.size(rank - 1));
  return gradient;
}

Tensor new_floats(const Tensor& like, torch::headeronly::IntHeaderOnlyArrayRef sizes) {
  return torch::stable::new_empty(like, sizes, ScalarType::Float);
}

// float32 and of the bias's shape; an axis of size 1 has stride 0.
Tensor bias_gradient(const Tensor& bias, AttentionBackwardArgs& args) {
  Tensor dbias = new_floats(bias, bias.sizes());
  args.dbias = dbias.mutable_data_ptr();
  args.dbias_batch_stride = broadcast_stride(dbias, 0);
  args.dbias_head_stride = broadcast_stride(dbias, 1);
  args.dbias_query_stride = broadcast_stride(dbias, 2);
  args.dbias_key_stride = broadcast_stride(dbias, 3);
  return dbias;
}

Tensor as_dtype(const Tensor& tensor, ScalarType type) {
  return tensor.scalar_type() == type ? tensor : torch::stable::to(tensor, type);
}

Gradients run(AttentionInputs& in, BackwardInputs& saved) {
  const ScalarType bias_type = in.bias.scalar_type(), sinks_type = in.sinks.scalar_type();
  AttentionBackwardArgs args{};
  args.forward = attention_args(kOp, in);
  check_saved(saved, in, args);
  Tensor dq = gradient_of(in.q, args.dq_strides), dk = gradient_of(in.k, args.dk_strides);
  Tensor dv = gradient_of(in.v, args.dv_strides);
  args.dq = dq.mutable_data_ptr();
  args.dk = dk.mutable_data_ptr();
  args.dv = dv.mutable_data_ptr();
  const int64_t none[1] = {0};
  Tensor dbias = new_floats(in.q, {none, 1}), dsinks = dbias;
  if (saved.wants_bias && args.forward.bias != nullptr) dbias = bias_gradient(in.bias, args);
  if (saved.wants_sinks && args.forward.sinks != nullptr) {
    dsinks = new_floats(in.q, in.sinks.sizes());
    args.dsinks = static_cast<float*>(dsinks.mutable_data_ptr());
  }
  args.num_threads = torch::stable::get_num_threads();
  const int64_t floats[1] = {
      cpu::attention_backward_scratch_floats(args.forward, args.num_threads)};
  Tensor scratch = new_floats(in.q, {floats, 1});
  args.scratch = static_cast<float*>(scratch.mutable_data_ptr());
  cpu::attention_backward(args, torch_threads());
  return {dq, dk, dv, as_dtype(dbias, bias_type), as_dtype(dsinks, sinks_type)};
}

Gradients attention_backward(Tensor dout, Tensor q, Tensor k, Tensor v, Tensor out, Tensor lse,
                             Tensor mask, Tensor bias, Tensor segment_ids, Tensor prefix_lens,
                             Tensor alibi_slopes, Tensor sinks, Tensor cu_seqlens_q,
                             Tensor cu_seqlens_k, double scale, double softcap, double dropout,
                             int64_t dropout_seed, bool causal, int64_t window, int64_t sparse,
                             int64_t stride, int64_t summary, bool wants_bias, bool wants_sinks) {
  AttentionInputs in{.q = q,
                     .k = k,
                     .v = v,
                     .mask = mask,
                     .bias = bias,
                     .segment_ids = segment_ids,
                     .prefix_lens = prefix_lens,
                     .alibi_slopes = alibi_slopes,
                     .sinks = sinks,
                     .cu_seqlens_q = cu_seqlens_q,
                     .cu_seqlens_k = cu_seqlens_k,
                     .scale = scale,
                     .softcap = softcap,
                     .dropout = dropout,
                     .dropout_seed = dropout_seed,
                     .causal = causal,
                     .window = window,
                     .sparse = sparse,
                     .stride = stride,
                     .summary = summary};
  BackwardInputs saved{dout, out, lse, wants_bias, wants_sinks};
  return run(in, saved);
}

}  // namespace

STABLE_TORCH_LIBRARY_IMPL(llmcore, CPU, m) {
  m.impl("attention_backward", TORCH_BOX(&attention_backward));
}

}  // namespace llmcore::door

#endif
