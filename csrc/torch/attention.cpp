// Schemas of attention and its gradient, and the CPU implementation of the forward.
#ifndef LLMCORE_CUDA_LIBRARY

#include <tuple>

#include "torch/attention_door.h"

namespace llmcore::door {

namespace {

constexpr const char* kOp = "attention";

Tensor run(AttentionInputs& in, Tensor* lse) {
  AttentionArgs args = attention_args(kOp, in);
  const bool is_packed = in.q.dim() == 3;
  const int64_t queries = is_packed ? in.q.size(0) : args.num_queries;
  const int64_t packed_shape[3] = {queries, args.num_heads, args.value_dim};
  const int64_t shape[4] = {args.num_sequences, queries, args.num_heads, args.value_dim};
  using Sizes = torch::headeronly::IntHeaderOnlyArrayRef;
  Tensor out = torch::stable::new_empty(in.q, is_packed ? Sizes(packed_shape, 3) : Sizes(shape, 4));
  if (lse != nullptr) {
    const int64_t packed_rows[2] = {args.num_heads, queries};
    const int64_t rows[3] = {args.num_sequences, args.num_heads, queries};
    *lse = torch::stable::new_empty(in.q, is_packed ? Sizes(packed_rows, 2) : Sizes(rows, 3),
                                    ScalarType::Float);
    args.lse = static_cast<float*>(lse->mutable_data_ptr());
  }
  args.out = out.mutable_data_ptr();
  args.out_strides = packed_strides(is_packed, queries, args.num_heads, args.value_dim);
  cpu::attention(args, torch_threads());
  return out;
}

std::tuple<Tensor, Tensor> attention(Tensor q, Tensor k, Tensor v, Tensor mask, Tensor bias,
                                     Tensor segment_ids, Tensor prefix_lens, Tensor alibi_slopes,
                                     Tensor sinks, Tensor cu_seqlens_q, Tensor cu_seqlens_k,
                                     double scale, double softcap, double dropout,
                                     int64_t dropout_seed, bool causal, int64_t window,
                                     int64_t sparse, int64_t stride, int64_t summary) {
  AttentionInputs in{q,
                     k,
                     v,
                     mask,
                     bias,
                     segment_ids,
                     prefix_lens,
                     alibi_slopes,
                     sinks,
                     cu_seqlens_q,
                     cu_seqlens_k,
                     scale,
                     softcap,
                     dropout,
                     dropout_seed,
                     causal,
                     window,
                     sparse,
                     stride,
                     summary};
  Tensor lse;
  Tensor out = run(in, &lse);
  return {out, lse};
}

Tensor attention_no_grad(Tensor q, Tensor k, Tensor v, Tensor mask, Tensor bias, Tensor segment_ids,
                         Tensor prefix_lens, Tensor alibi_slopes, Tensor sinks, Tensor cu_seqlens_q,
                         Tensor cu_seqlens_k, double scale, double softcap, double dropout,
                         int64_t dropout_seed, bool causal, int64_t window, int64_t sparse,
                         int64_t stride, int64_t summary) {
  AttentionInputs in{q,
                     k,
                     v,
                     mask,
                     bias,
                     segment_ids,
                     prefix_lens,
                     alibi_slopes,
                     sinks,
                     cu_seqlens_q,
                     cu_seqlens_k,
                     scale,
                     softcap,
                     dropout,
                     dropout_seed,
                     causal,
                     window,
                     sparse,
                     stride,
                     summary};
  return run(in, nullptr);
}

}  // namespace

#define LLMCORE_ATTENTION_RULES                                                             \
  "Tensor mask, Tensor bias, Tensor segment_ids, Tensor prefix_lens, Tensor alibi_slopes, " \
  "Tensor sinks, Tensor cu_seqlens_q, Tensor cu_seqlens_k, float scale, float softcap, "    \
  "float dropout, int dropout_seed, bool causal, int window, int sparse, int stride, int summary"

STABLE_TORCH_LIBRARY_FRAGMENT(llmcore, m) {
  // An empty tensor is an absent one.
  m.def("attention(Tensor q, Tensor k, Tensor v, " LLMCORE_ATTENTION_RULES
        ") -> (Tensor out, Tensor lse)");
  // The same without a gradient: skips the Python autograd layer.
  m.def("attention_no_grad(Tensor q, Tensor k, Tensor v, " LLMCORE_ATTENTION_RULES ") -> Tensor");
  m.def("attention_lse_no_grad(Tensor q, Tensor k, Tensor v, " LLMCORE_ATTENTION_RULES
        ") -> (Tensor out, Tensor lse)");
  m.def(
      "attention_backward(Tensor dout, Tensor q, Tensor k, Tensor v, Tensor out, Tensor "
      "lse, " LLMCORE_ATTENTION_RULES
      ", bool wants_bias, bool wants_sinks) -> (Tensor dq, Tensor dk, "
      "Tensor dv, Tensor dbias, Tensor dsinks)");
}

STABLE_TORCH_LIBRARY_IMPL(llmcore, CPU, m) {
  m.impl("attention", TORCH_BOX(&attention));
  m.impl("attention_lse_no_grad", TORCH_BOX(&attention));
  m.impl("attention_no_grad", TORCH_BOX(&attention_no_grad));
}

}  // namespace llmcore::door

#endif
