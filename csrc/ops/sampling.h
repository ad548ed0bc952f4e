// Draws the next token of every row, in the order of OpenAI, Hugging Face and vLLM:
//
//   y   = logits in float32; NaN counts as -inf, +inf as the largest float32
//   y_j = -inf where j is not allowed;  y_j += bias_j
//   y_j = y_j / r if y_j > 0 else y_j * r     for j in prompt or output (r: repetition penalty)
//   y_j -= n_j * frequency;  y_j -= presence  for j in the output n_j > 0 times; then as the first
//                                             line says
//   temperature 0: the largest y, the lowest id among equals. Otherwise
//   d_j = (y_j - max y) / temperature                                in float64
//   w_j = e^d_j in units of 2^-b, rounded to an integer; b = weight_bits(V)
//   top-k    keeps the k largest y, the lowest id among equals
//   top-p    keeps the shortest prefix of what is left, in that order, with sum w >= p sum w
//   min-p    keeps w_j >= min_p * 2^b
//   typical  keeps the shortest prefix, by |d_j - mean_w(d)| (that is |-ln p_j - entropy|) in units
//            of 2^-40, the lowest id among equals, with sum w >= typical_p sum w; drops w_j = 0
//   the draw is the first id, in order of id, whose running sum of kept w exceeds
//   floor(u * sum w / 2^53), u being 53 random bits of (seed, position)
//
// Weights are integers, so their sums are exact in any order: no thread count, vector width or
// block size changes a token. e^d is float64 additions and multiplications in a written order, the
// same in every instruction set and in Python. An id beyond 2^-b of the likeliest has weight 0.
#pragma once

#include <cstdint>

#include "core/dtype.h"
#include "core/parallel.h"

namespace llmcore {

// One row of the (1 or B, 8) float64 tensor of parameters.
struct SamplingParams {
  double temperature;
  double top_k;      // 0: off
  double top_p;      // 1: off
  double min_p;      // 0: off
  double typical_p;  // 1: off
  double repetition_penalty;
  double frequency_penalty;
  double presence_penalty;
};
constexpr int64_t kNumSamplingParams = 8;

enum class SamplingFault : uint8_t { kNone, kBiasId, kHistoryId };

// Strides count elements, and are 0 where one row serves all. Null pointers: absent.
struct SamplingArgs {
  const void* logits;  // (B, V)
  int64_t logits_stride;
  int64_t rows;
  int64_t vocab;
  DType dtype;
  const SamplingParams* params;
  int64_t params_stride;
  const uint64_t* random;  // (B), 53 bits each

  const bool* allowed;            // (B, V)
  const uint32_t* allowed_words;  // (B, ceil(V / 32)), bit j % 32 of word j / 32
  int64_t allowed_stride;
  const float* dense_bias;  // (B, V)
  int64_t dense_bias_stride;
  const int64_t* bias_ids;      // (M)
  const float* bias_values;     // (M)
  const int64_t* bias_offsets;  // row n has [n * stride] to [n * stride + 1]
  int64_t bias_offsets_stride;
  const void* history;  // (B, S) of int32 or int64: prompt, output, then anything
  DType history_dtype;
  int64_t history_stride;
  const int64_t* prompt_lens;  // (B)
  const int64_t* lens;         // (B), prompt and output

  int64_t* ids;           // (B); -1 where every y is -inf
  SamplingFault* faults;  // (B)
  float* logprobs;        // (B), or null: no log-probabilities at all
  int64_t* ranks;         // (B), 1 for the likeliest; 0 where the id is -1
  int64_t num_logprobs;
  int64_t* top_ids;     // (B, num_logprobs)
  float* top_logprobs;  // (B, num_logprobs)
  bool processed_logprobs;
};

// b above: sums of V weights stay below 2^62, and 2^b has room in a float64's 52 bits.
constexpr int64_t weight_bits(int64_t vocab) {
  int64_t bits = 62;
  for (; vocab > 0; vocab >>= 1) --bits;
  return bits < 51 ? bits : 51;
}

namespace cpu {

void sample(const SamplingArgs& args, const ParallelFor& parallel_for);

}  // namespace cpu

}  // namespace llmcore
