// See ops/adamw.h.
//
// Ladder: `bench_adamw --threads 1` of benchmarks/cpp on an AMD EPYC (Zen 4, 32 MiB L3,
// avx512_bf16) that other processes used too, CPU time of one thread; % of the copy of as many
// bytes in the same rounds.
//   1. PyTorch's fused kernel (until now): one call per dtype, moments in the dtype of the weight.
//   2. one pass in place over blocks of all tensors, clipping as a factor     <- this version
//        4 x 2048x2048  float32 38 GB/s (136 %), bfloat16 with masters 40 GB/s (114 %)
//        50 x 999000    float32 50 GB/s (154 %), bfloat16 with masters 44 GB/s (136 %)
//        400 x 1000, in the cache: float32 35 GB/s (75 %), bfloat16 40 GB/s (90 %)
// Memory bounds the first two: lines are written where they were read, so no line is read for a
// write as in the copy. The quotient and the root bound the last.
#include "ops/adamw.h"

#include "cpu/isa_variant.h"
#include "cpu/vec.h"
#include "cpu/vec_math.h"

namespace llmcore::cpu::LLMCORE_ISA {

namespace {

inline VecF square_root(VecF v) {
#if defined(__AVX512F__)
  return (VecF)_mm512_sqrt_ps((__m512)v);
#elif defined(__AVX2__)
  return (VecF)_mm256_sqrt_ps((__m256)v);
#elif defined(__SSE2__)
  return (VecF)_mm_sqrt_ps((__m128)v);
#else
  for (int i = 0; i < kWidth; ++i) v[i] = __builtin_sqrtf(v[i]);
  return v;
#endif
}

struct Weights {
  VecF weight;
  VecF exp_avg;
  VecF exp_avg_sq;
};

inline Weights stepped(const AdamWArgs& args, Weights w, VecF grad) {
  grad *= args.grad_scale;
  // Not m + (1 - beta1) (g - m), which is NaN where m is infinite and loses g where beta is 0.
  w.exp_avg = fused_multiply_add(broadcast(args.grad_share), grad, args.beta1 * w.exp_avg);
  w.exp_avg_sq = fused_multiply_add(args.square_share * grad, grad, args.beta2 * w.exp_avg_sq);
  const VecF root = fused_multiply_add(square_root(w.exp_avg_sq), broadcast(args.root_scale),
                                       broadcast(args.eps));
  const VecF step = args.step_size * w.exp_avg / root;
  w.weight = fused_multiply_add(w.weight, broadcast(args.keep), -step);
  return w;
}

// Elements [begin, end) of one tensor. The moments and the weight are read and written in place, so
// plain stores: their lines are in the cache.
template <bool kMaster, class T>
void step_range(const AdamWArgs& args, const AdamWTensor& tensor, int64_t begin, int64_t end) {
  T* param = static_cast<T*>(tensor.param);
  const T* grad = static_cast<const T*>(tensor.grad);
  float *m = tensor.exp_avg, *v = tensor.exp_avg_sq, *master = tensor.master;
  int64_t i = begin;
  for (; i + kWidth <= end; i += kWidth) {
    const VecF weight = kMaster ? load(master + i) : load(param + i);
    const Weights w = stepped(args, {weight, load(m + i), load(v + i)}, load(grad + i));
    store(m + i, w.exp_avg);
    store(v + i, w.exp_avg_sq);
    if constexpr (kMaster) store(master + i, w.weight);
    store(param + i, w.weight);
  }
  if (i < end) {
    const int64_t n = end - i;
    const VecF weight = kMaster ? load_tail(master + i, n) : load_tail(param + i, n);
    const Weights w =
        stepped(args, {weight, load_tail(m + i, n), load_tail(v + i, n)}, load_tail(grad + i, n));
    store_tail(m + i, w.exp_avg, n);
    store_tail(v + i, w.exp_avg_sq, n);
    if constexpr (kMaster) store_tail(master + i, w.weight, n);
    store_tail(param + i, w.weight, n);
  }
}

template <class T>
void step_any(const AdamWArgs& args, const AdamWTensor& tensor, int64_t begin, int64_t end) {
  if (tensor.master != nullptr) return step_range<true, T>(args, tensor, begin, end);
  step_range<false, T>(args, tensor, begin, end);
}

void step_tensor(const AdamWArgs& args, const AdamWTensor& tensor, int64_t begin, int64_t end) {
  switch (tensor.dtype) {
    case DType::kFloat32:
      return step_any<float>(args, tensor, begin, end);
    case DType::kBFloat16:
      return step_any<BFloat16>(args, tensor, begin, end);
    default:
      return step_any<Float16>(args, tensor, begin, end);
  }
}

// The last tensor whose first block is not after `block`, past tensors without elements.
int64_t tensor_of(const AdamWArgs& args, int64_t block) {
  int64_t low = 0, high = args.num_tensors;
  while (high - low > 1) {
    const int64_t middle = (low + high) / 2;
    (args.tensors[middle].first_block <= block ? low : high) = middle;
  }
  return low;
}

void step_blocks(const AdamWArgs& args, int64_t begin, int64_t end) {
  for (int64_t t = tensor_of(args, begin); begin < end; ++t) {
    const AdamWTensor& tensor = args.tensors[t];
    const int64_t blocks = (tensor.numel + kAdamWBlock - 1) / kAdamWBlock;
    const int64_t past = tensor.first_block + blocks;
    const int64_t stop = past < end ? past : end;
    const int64_t last = (stop - tensor.first_block) * kAdamWBlock;
    step_tensor(args, tensor, (begin - tensor.first_block) * kAdamWBlock,
                last < tensor.numel ? last : tensor.numel);
    begin = stop;
  }
}

}  // namespace

void adamw(const AdamWArgs& args, const ParallelFor& parallel_for) {
  constexpr int64_t kBlocksPerTask = 16;  // a task is worth a thread's wake-up
  const auto blocks = [&](int64_t begin, int64_t end) { step_blocks(args, begin, end); };
  parallel_for(0, args.num_blocks, kBlocksPerTask, blocks);
}

}  // namespace llmcore::cpu::LLMCORE_ISA
