// See ops/attention.h, cpu/attention_core.h for the order of the sums and cpu/attention_run.h for
// the cut into tasks.
//
// Ladder: one thread by its CPU time on an AMD EPYC (Zen 4, 1 MiB L2, avx512_bf16) that others used
// too; causal, GFLOP/s over kept pairs. FMA peak 117, dot peak 235.
//                                                         float32          bfloat16
//                                       D (T = 4096)      64    128        64    128
//   1. packed blocks, 96 rows a tile, exp of the scores   84     91       134    165
//      bounded by packing (12 % at D = 128) and exp (13 % at D = 64)
//   2. 192 rows a tile, 2^x from one product and add      91     94       156    176
//      the products take 79 % at D = 64 and run at the peak; more rows a tile gain nothing
// The decoding side of the ladder is in paged_attention.cpp.
#include "ops/attention.h"

#include "cpu/attention_run.h"
#include "cpu/isa_variant.h"

namespace llmcore::cpu::LLMCORE_ISA {

namespace {

template <class T>
struct Contiguous {
  const AttentionArgs& args;

  PairRules rules(int64_t sequence) const { return pair_rules(args, sequence); }
  int64_t first_token(int64_t sequence) const {
    return args.cu_seqlens_q != nullptr ? args.cu_seqlens_q[sequence] : 0;
  }
  StridedRows source(int64_t sequence) const {
    constexpr auto kBytes = static_cast<int64_t>(sizeof(T));
    const HeadStrides &k = args.k_strides, &v = args.v_strides;
    const int64_t token = args.cu_seqlens_k != nullptr ? args.cu_seqlens_k[sequence] : 0;
    return {static_cast<const char*>(args.k) + (sequence * k.batch + token * k.token) * kBytes,
            static_cast<const char*>(args.v) + (sequence * v.batch + token * v.token) * kBytes,
            k.token * kBytes,
            v.token * kBytes,
            k.head * kBytes,
            v.head * kBytes};
  }
};

template <bool kPairs, class T>
void run(const AttentionArgs& args, const ParallelFor& parallel_for) {
  run_attention<kPairs, T, T>(args, Contiguous<T>{args}, parallel_for);
}

}  // namespace

void attention(const AttentionArgs& args, const ParallelFor& parallel_for) {
  switch (args.dtype) {
    case DType::kFloat32:
      return run<false, float>(args, parallel_for);
    case DType::kBFloat16:
#if defined(__AVX512BF16__)
      return run<true, BFloat16>(args, parallel_for);
#else
      return run<false, BFloat16>(args, parallel_for);
#endif
    default:
      return run<false, Float16>(args, parallel_for);
  }
}

}  // namespace llmcore::cpu::LLMCORE_ISA
