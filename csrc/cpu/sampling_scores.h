// The scores of one row: logits in float32, mask, bias and penalties. See ops/sampling.h.
#pragma once

#include "cpu/sampling_select.h"
#include "ops/sampling.h"

namespace llmcore::cpu::LLMCORE_ISA {

inline float clean(float score) {
  const float at_least = score == score ? score : -__builtin_inff();
  return at_least < kLargest ? at_least : kLargest;
}
inline VecF clean(VecF score) {
  const VecF lowest = broadcast(-__builtin_inff());
  return minimum(score == score ? score : lowest, broadcast(kLargest));
}

template <class T>
void copy_scores(const void* from, int64_t vocab, float* scores) {
  const T* logits = static_cast<const T*>(from);
  int64_t at = 0;
  for (; at + kWidth <= vocab; at += kWidth) store(scores + at, clean(load(logits + at)));
  if (at < vocab) {
    store_tail(scores + at, clean(load_tail(logits + at, vocab - at)), vocab - at);
  }
}

inline const void* logits_of(const SamplingArgs& args, int64_t row) {
  const int64_t offset = row * args.logits_stride * element_size(args.dtype);
  return static_cast<const char*>(args.logits) + offset;
}

inline void copy_scores(const SamplingArgs& args, int64_t row, float* scores) {
  switch (args.dtype) {
    case DType::kFloat32:
      return copy_scores<float>(logits_of(args, row), args.vocab, scores);
    case DType::kBFloat16:
      return copy_scores<BFloat16>(logits_of(args, row), args.vocab, scores);
    default:
      return copy_scores<Float16>(logits_of(args, row), args.vocab, scores);
  }
}

inline void apply_mask(const SamplingArgs& args, int64_t row, float* scores) {
  if (args.allowed != nullptr) {
    const bool* allowed = args.allowed + row * args.allowed_stride;
    for (int64_t j = 0; j < args.vocab; ++j) {
      scores[j] = allowed[j] ? scores[j] : -__builtin_inff();
    }
  }
  if (args.allowed_words != nullptr) {
    const uint32_t* words = args.allowed_words + row * args.allowed_stride;
    for (int64_t base = 0; base < args.vocab; base += 32) {
      const uint32_t word = words[base / 32];
      const int64_t end = base + 32 < args.vocab ? base + 32 : args.vocab;
      if (word == 0xFFFFFFFFu) continue;
      for (int64_t j = base; j < end; ++j) {
        scores[j] = (word >> (j - base)) & 1u ? scores[j] : -__builtin_inff();
      }
    }
  }
}

inline SamplingFault apply_bias(const SamplingArgs& args, int64_t row, float* scores) {
  if (args.dense_bias != nullptr) {
    const float* bias = args.dense_bias + row * args.dense_bias_stride;
    int64_t at = 0;
    for (; at + kWidth <= args.vocab; at += kWidth) {
      store(scores + at, clean(load(scores + at) + load(bias + at)));
    }
    for (; at < args.vocab; ++at) scores[at] = clean(scores[at] + bias[at]);
  }
  if (args.bias_ids != nullptr) {
    const int64_t* offsets = args.bias_offsets + row * args.bias_offsets_stride;
    for (int64_t i = offsets[0]; i < offsets[1]; ++i) {
      const int64_t id = args.bias_ids[i];
      if (id < 0 || id >= args.vocab) return SamplingFault::kBiasId;
      scores[id] = clean(scores[id] + args.bias_values[i]);
    }
  }
  return SamplingFault::kNone;
}

constexpr uint32_t kInPrompt = 0x80000000u;  // above any count of the output

template <class Id>
SamplingFault apply_penalties(const SamplingArgs& args, const SamplingParams& params, int64_t row,
                              float* scores, uint32_t* counts) {
  const Id* history = static_cast<const Id*>(args.history) + row * args.history_stride;
  const int64_t end = args.lens[row], split = args.prompt_lens[row];
  const auto repetition = static_cast<float>(params.repetition_penalty);
  const auto frequency = static_cast<float>(params.frequency_penalty);
  const auto presence = static_cast<float>(params.presence_penalty);
  const int64_t begin = repetition == 1.0f ? split : 0;  // the prompt matters to repetition alone
  int64_t stop = begin;
  for (; stop < end; ++stop) {
    const auto id = static_cast<int64_t>(history[stop]);
    if (id < 0 || id >= args.vocab) break;
    counts[id] = stop < split ? counts[id] | kInPrompt : counts[id] + 1;
  }
  for (int64_t i = begin; i < stop; ++i) {
    const auto id = static_cast<int64_t>(history[i]);
    const uint32_t seen = counts[id], count = seen & ~kInPrompt;
    if (seen == 0) continue;
    counts[id] = 0;
    float score = scores[id];
    score = score > 0 ? score / repetition : score * repetition;
    if (count > 0) {
      score = score - static_cast<float>(count) * frequency;
      score = score - presence;
    }
    scores[id] = clean(score);
  }
  return stop == end ? SamplingFault::kNone : SamplingFault::kHistoryId;
}

inline bool has_penalties(const SamplingArgs& args, const SamplingParams& params) {
  return args.history != nullptr && (params.repetition_penalty != 1.0 ||
                                     params.frequency_penalty != 0 || params.presence_penalty != 0);
}

// Whether a row's scores differ from its cleaned logits.
inline bool has_edits(const SamplingArgs& args, const SamplingParams& params) {
  return args.allowed != nullptr || args.allowed_words != nullptr || args.dense_bias != nullptr ||
         args.bias_ids != nullptr || has_penalties(args, params);
}

inline SamplingFault apply_edits(const SamplingArgs& args, const SamplingParams& params,
                                 int64_t row, float* scores, uint32_t* counts) {
  apply_mask(args, row, scores);
  const SamplingFault fault = apply_bias(args, row, scores);
  if (fault != SamplingFault::kNone || !has_penalties(args, params)) return fault;
  return args.history_dtype == DType::kInt32
             ? apply_penalties<int32_t>(args, params, row, scores, counts)
             : apply_penalties<int64_t>(args, params, row, scores, counts);
}

// The largest of n > 0 scores without NaN.
inline float largest_of(const float* scores, int64_t n) {
  VecF largest[4];
  for (VecF& v : largest) v = broadcast(-__builtin_inff());
  int64_t at = 0;
  for (; at + 4 * kWidth <= n; at += 4 * kWidth) {
    for (int u = 0; u < 4; ++u) largest[u] = maximum(load(scores + at + u * kWidth), largest[u]);
  }
  const VecF both = maximum(maximum(largest[0], largest[1]), maximum(largest[2], largest[3]));
  float found = -__builtin_inff();
  for (int i = 0; i < kWidth; ++i) found = both[i] > found ? both[i] : found;
  for (; at < n; ++at) found = scores[at] > found ? scores[at] : found;
  return found;
}

// Whether clean() would change none of the scores; sums of differences are cheaper than two tests.
inline bool is_clean(const float* scores, int64_t n) {
  VecF bad[2] = {};
  int64_t at = 0;
  for (; at + 2 * kWidth <= n; at += 2 * kWidth) {
    for (int u = 0; u < 2; ++u) {
      const VecF v = load(scores + at + u * kWidth);
      bad[u] = (v <= broadcast(kLargest)) ? bad[u] : broadcast(1.0f);
    }
  }
  bool clean = true;
  for (int i = 0; i < kWidth; ++i) clean = clean && bad[0][i] == 0 && bad[1][i] == 0;
  for (; at < n; ++at) clean = clean && scores[at] <= kLargest;
  return clean;
}

inline int64_t first_of(const float* scores, int64_t n, float value) {
  int64_t at = 0;
  for (; at + kWidth <= n; at += kWidth) {
    if (lanes_from(load(scores + at), value) != 0) break;
  }
  while (at < n && !(scores[at] >= value)) ++at;
  return at;
}

}  // namespace llmcore::cpu::LLMCORE_ISA
