// See ops/attention.h, cpu/attention_core.h for the order of the sums and cpu/attention_run.h for
// the cut into tasks.
//
// Ladder: to be measured.
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
