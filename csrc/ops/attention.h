// Attention that never stores the T x S scores, forward and backward. Dao et al. 2022 and 2023,
// arXiv:2205.14135 and 2307.08691.
//
// Query t of a sequence with T queries and S keys has position i = t + S - T (the last query sees
// the last key), key s has position s. Query head h reads key/value head h / (H / Hkv).
//
//   z_ts = scale * q_t . k_s
//   z_ts = softcap * tanh(z_ts / softcap)                      if softcap > 0
//   z_ts = z_ts + bias_ts - alibi_h * |i - s|
//   p_ts = exp(z_ts - lse_t) over the kept pairs, 0 elsewhere;  lse_t = log(sum_s exp(z_ts) +
//   exp(sink_h)) out_t = sum_s p_ts * drop_ts * v_s,   drop = 0 with probability dropout, else 1 /
//   (1 - dropout)
//
// A query that keeps no key gives zeros (lse = -infinity, or the sink) and gets no gradient.
//
//   delta_t = sum_d dout_td * out_td      dp_ts = drop_ts * dout_t . v_s     ds_ts = p_ts (dp_ts -
//   delta_t) dv_s = sum_t p_ts drop_ts dout_t      dbias_ts = ds_ts summed over broadcast axes
//   dz_ts = ds_ts * (1 - (z_cap / softcap)^2), z_cap the capped score before bias
//   dq_t = scale * sum_s dz_ts k_s        dk_s = scale * sum_t dz_ts q_t
//   dsink_h = -sum_t exp(sink_h - lse_t) delta_t
//
// A pair is kept if every rule keeps it:
//   causal      s <= i, or s < prefix_len of the sequence
//   window      |i - s| < window (so a causal query sees `window` keys, its own among them)
//   sparse      see SparseKind, with l = stride, c = summary (Child et al. 2019, arXiv:1904.10509)
//   mask        mask_bts is true
//   segments    segment_i == segment_s
//
// Sums are float32. Scores and outputs of a query are reduced over blocks of kAttentionKeyBlock
// keys that start at multiples of it, so that a row does not depend on batch, threads or chunking.
#pragma once

#include <cstdint>

#include "core/dtype.h"
#include "core/parallel.h"

namespace llmcore {

enum class SparseKind : int64_t {
  kFull = 0,
  kStrided = 1,         // s = i modulo l
  kLocalOrStrided = 2,  // |i - s| < l, or kStrided
  kFixedLocal = 3,      // floor(s / l) = floor(i / l)
  kFixedSummary = 4,    // s mod l >= l - c
  kFixed = 5,           // kFixedLocal or kFixedSummary
};

// Where element (sequence, token, head, 0) of a tensor lies, in elements; the last axis is
// contiguous. For packed tensors `batch` is 0 and tokens are counted through all sequences.
struct HeadStrides {
  int64_t batch;
  int64_t token;
  int64_t head;
};

struct AttentionArgs {
  // q (B, T, H, D), k (B, S, Hkv, D), v (B, S, Hkv, Dv), out (B, T, H, Dv): one dtype.
  const void* q;
  const void* k;
  const void* v;
  void* out;
  float* lse;  // (B, H, T) contiguous; packed: (H, N)
  HeadStrides q_strides, k_strides, v_strides, out_strides;
  int64_t num_sequences;  // B
  int64_t num_queries;    // T; packed: the largest of all sequences
  int64_t num_keys;       // S; packed: the largest of all sequences
  int64_t num_heads;      // H
  int64_t num_kv_heads;   // Hkv
  int64_t head_dim;       // D
  int64_t value_dim;      // Dv
  DType dtype;

  // Packed tensors: first token of each sequence and the end, (B + 1); else null.
  const int64_t* cu_seqlens_q;
  const int64_t* cu_seqlens_k;

  float scale;
  float softcap;  // 0: none
  bool causal;
  int64_t window;  // 0: none
  SparseKind sparse;
  int64_t stride;
  int64_t summary;

  const bool* mask;  // or null; element strides, 0 for a broadcast axis
  int64_t mask_batch_stride, mask_query_stride, mask_key_stride;
  const void* bias;  // of `dtype`, or null
  int64_t bias_batch_stride, bias_head_stride, bias_query_stride, bias_key_stride;
  const int64_t* segment_ids;  // (B, S) contiguous, or null
  const int64_t* prefix_lens;  // (B), or null
  const float* alibi_slopes;   // (H), or null
  const float* sinks;          // (H), or null

  // drop_ts of (sequence b, head h, query t, key s) is word s % 4 of Philox4x32-10 with key
  // dropout_seed and counter (s / 4, t, b * H + h, kDropoutPurpose); dropped where word < dropout *
  // 2^32.
  float dropout;
  uint64_t dropout_seed;
};

constexpr uint32_t kDropoutPurpose = 1;
constexpr int64_t kAttentionKeyBlock = 64;

struct AttentionBackwardArgs {
  AttentionArgs forward;  // with `out` and `lse` as the forward left them
  const void* dout;       // strides as out_strides say
  void* dq;               // strides as q_strides, k_strides, v_strides of a contiguous tensor
  void* dk;
  void* dv;
  void* dbias;    // float32, shape of bias with its broadcast axes of size 1, contiguous; or null
  float* dsinks;  // (H), or null
  HeadStrides dout_strides, dq_strides, dk_strides, dv_strides;
  // 0 for an axis of size 1, over which the gradient is summed.
  int64_t dbias_batch_stride, dbias_head_stride, dbias_query_stride, dbias_key_stride;
  float* scratch;       // attention_backward_scratch_floats(forward, num_threads) floats
  int64_t num_threads;  // at most so many workers share the work; no result depends on it
};

namespace cpu {

int64_t attention_backward_scratch_floats(const AttentionArgs& forward, int64_t num_threads);

void attention(const AttentionArgs& args, const ParallelFor& parallel_for);
void attention_backward(const AttentionBackwardArgs& args, const ParallelFor& parallel_for);

}  // namespace cpu

}  // namespace llmcore
