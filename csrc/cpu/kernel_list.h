// Every CPU kernel, once: X(name, Args). From this list come the declarations inside each
// instruction set's namespace, the fields of KernelTable, each set's table and the forwarding
// functions cpu::name. A kernel is `void name(const Args& args, const ParallelFor& parallel_for)`.
#pragma once

#include "ops/attention.h"
#include "ops/paged_attention.h"
#include "ops/rms_norm.h"

#define LLMCORE_FOR_EACH_KERNEL(X)             \
  X(attention, AttentionArgs)                  \
  X(attention_backward, AttentionBackwardArgs) \
  X(paged_attention, PagedAttentionArgs)       \
  X(append_to_cache, AppendToCacheArgs)        \
  X(rms_norm, RmsNormArgs)                     \
  X(rms_norm_backward, RmsNormBackwardArgs)
