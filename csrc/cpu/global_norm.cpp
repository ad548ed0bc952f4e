// See ops/global_norm.h.
//
// Ladder: `bench_adamw --threads 1` of benchmarks/cpp on an AMD EPYC (Zen 4, 32 MiB L3,
// avx512_bf16) that other processes used too, CPU time of one thread; read 16-25 GB/s.
//   1. torch.nn.utils.get_total_norm (until now): a float32 norm per tensor, then one of these.
//   2. float64 squares and sums, four accumulators                            <- this version
//        4 x 2048x2048  float32 22 GB/s, bfloat16 13 GB/s
//        50 x 999000    float32 25 GB/s (101 % of read), bfloat16 13 GB/s (56 %)
// Memory bounds float32. Widening to float64 bounds a thread in bfloat16; two threads together read
// at the memory's limit.
#include "ops/global_norm.h"

#include "cpu/isa_variant.h"
#include "cpu/vec.h"

namespace llmcore::cpu::LLMCORE_ISA {

namespace {

constexpr int kUnroll = 4;  // independent accumulators: hides the latency of an add

typedef double VecD __attribute__((vector_size(kWidth * 8)));

template <class T>
double sum_of_squares(const T* x, int64_t n) {
  VecD sums[kUnroll] = {};
  int64_t i = 0;
  for (; i + kUnroll * kWidth <= n; i += kUnroll * kWidth) {
#pragma GCC unroll 4
    for (int u = 0; u < kUnroll; ++u) {
      const VecD v = __builtin_convertvector(load(x + i + u * kWidth), VecD);
      sums[u] += v * v;
    }
  }
  for (; i < n; i += kWidth) {
    const VecF last = n - i < kWidth ? load_tail(x + i, n - i) : load(x + i);
    const VecD v = __builtin_convertvector(last, VecD);
    sums[0] += v * v;
  }
  const VecD all = (sums[0] + sums[1]) + (sums[2] + sums[3]);
  double sum = 0.0;
  for (int lane = 0; lane < kWidth; ++lane) sum += all[lane];
  return sum;
}

double block_sum(const GlobalNormTensor& tensor, int64_t block) {
  const int64_t begin = (block - tensor.first_block) * kGlobalNormBlock;
  const int64_t left = tensor.numel - begin;
  const int64_t n = left < kGlobalNormBlock ? left : kGlobalNormBlock;
  switch (tensor.dtype) {
    case DType::kFloat32:
      return sum_of_squares(static_cast<const float*>(tensor.data) + begin, n);
    case DType::kBFloat16:
      return sum_of_squares(static_cast<const BFloat16*>(tensor.data) + begin, n);
    default:
      return sum_of_squares(static_cast<const Float16*>(tensor.data) + begin, n);
  }
}

// The last tensor whose first block is not after `block`: past tensors without elements.
int64_t tensor_of(const GlobalNormArgs& args, int64_t block) {
  int64_t low = 0, high = args.num_tensors;
  while (high - low > 1) {
    const int64_t middle = (low + high) / 2;
    (args.tensors[middle].first_block <= block ? low : high) = middle;
  }
  return low;
}

}  // namespace

void global_norm(const GlobalNormArgs& args, const ParallelFor& parallel_for) {
  constexpr int64_t kBlocksPerTask = 4;  // a task is worth a thread's wake-up
  const auto blocks = [&](int64_t begin, int64_t end) {
    int64_t t = tensor_of(args, begin);
    for (int64_t block = begin; block < end; ++block) {
      while (t + 1 < args.num_tensors && args.tensors[t + 1].first_block <= block) ++t;
      args.partials[block] = block_sum(args.tensors[t], block);
    }
  };
  parallel_for(0, args.num_blocks, kBlocksPerTask, blocks);
  double sum = 0.0;
  for (int64_t block = 0; block < args.num_blocks; ++block) sum += args.partials[block];
  *args.norm = static_cast<float>(__builtin_sqrt(sum));
}

}  // namespace llmcore::cpu::LLMCORE_ISA
