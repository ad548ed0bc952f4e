// Every CPU kernel, once: X(name, Args). From this list come the declarations inside each
// instruction set's namespace, the fields of KernelTable, each set's table and the forwarding
// functions cpu::name. A kernel is `void name(const Args& args, const ParallelFor& parallel_for)`.
#pragma once

#include "ops/activation.h"
#include "ops/adamw.h"
#include "ops/attention.h"
#include "ops/cross_entropy.h"
#include "ops/global_norm.h"
#include "ops/layer_norm.h"
#include "ops/linear.h"
#include "ops/linear_cross_entropy.h"
#include "ops/paged_attention.h"
#include "ops/rms_norm.h"
#include "ops/rope.h"
#include "ops/sampling.h"

#define LLMCORE_FOR_EACH_KERNEL(X)                    \
  X(activation, ActivationArgs)                       \
  X(activation_backward, ActivationBackwardArgs)      \
  X(adamw, AdamWArgs)                                 \
  X(append_to_cache, AppendToCacheArgs)               \
  X(attention, AttentionArgs)                         \
  X(attention_backward, AttentionBackwardArgs)        \
  X(cross_entropy, CrossEntropyArgs)                  \
  X(cross_entropy_backward, CrossEntropyBackwardArgs) \
  X(global_norm, GlobalNormArgs)                      \
  X(layer_norm, LayerNormArgs)                        \
  X(layer_norm_backward, LayerNormBackwardArgs)       \
  X(linear, LinearArgs)                               \
  X(linear_cross_entropy, LinearCrossEntropyArgs)     \
  X(paged_attention, PagedAttentionArgs)              \
  X(rms_norm, RmsNormArgs)                            \
  X(rms_norm_backward, RmsNormBackwardArgs)           \
  X(rope, RopeArgs)                                   \
  X(sample, SamplingArgs)
