// See ops/cross_entropy.h.
//
// Ladder: `bench_cross_entropy --threads 1` of benchmarks/cpp on an AMD EPYC (Zen 4, 32 MiB L3,
// avx512_bf16) that other processes used too, CPU time of one thread; read 24 GB/s, copy 37 GB/s
// counted both ways.
//   1. PyTorch's log-softmax and NLL (until now): writes the N x V log-probabilities and reads them
//      again, bfloat16 through float32. One training pass, 1024x50257 in float32, takes it 523 ms
//      where 2. takes 205, in bfloat16 580 and 107: most of both is page faults of new results.
//   2. one pass forward (a block's maximum, then its exponentials from L1), one backward with the
//      kept lse, exponentials by floor and scale in one instruction each     <- this version
//        512x50257   forward float32 16.9 GB/s, bfloat16  8.7; backward 31.5 and 15.9
//        256x128256  forward float32 16.5 GB/s, bfloat16  8.6; backward 28.9 and 15.8
//      Both dtypes take 13 cycles per 16 logits: the exponential bounds a thread, not memory. Two
//      threads of this machine share 24 GB/s of reads, so float32 then reaches the memory's limit
//      and bfloat16 about 70 % of it.
#include "ops/cross_entropy.h"

#include "cpu/cross_entropy_math.h"
#include "cpu/isa_variant.h"
#include "cpu/softmax_math.h"
#include "cpu/tuning.h"
#include "cpu/vec.h"

namespace llmcore::cpu::LLMCORE_ISA {

namespace {

constexpr int kUnroll = 4;    // independent accumulators: hides the latency of an add
constexpr int kBlock = 1024;  // logits whose maximum is found before their exponentials: 4 KiB
constexpr float kInfinity = __builtin_inff();

// Lanes [0, n) of `v`; the others get `fill`.
inline VecF fill_tail(VecF v, int64_t n, float fill) {
  float lanes[kWidth];
  __builtin_memcpy(lanes, &v, sizeof(v));
  for (int64_t i = n; i < kWidth; ++i) lanes[i] = fill;
  __builtin_memcpy(&v, lanes, sizeof(v));
  return v;
}

template <class T>
inline float load_one(const T* x) {
  return load_tail(x, 1)[0];
}

// Running statistics of a row, one per lane: exponentials are summed relative to the lane's
// maximum.
struct RowSums {
  VecF max;
  VecF exps[kUnroll];
  VecF values[kUnroll];  // sum of the logits, for label smoothing
};

// Adds `vectors` full vectors of logits at x.
template <bool kSmooth, class T>
void add_block(RowSums& row, const T* x, int64_t vectors) {
  VecF max[kUnroll] = {row.max, row.max, row.max, row.max};
  int64_t i = 0;
  for (; i + kUnroll <= vectors; i += kUnroll) {
#pragma GCC unroll 4
    for (int u = 0; u < kUnroll; ++u) max[u] = maximum(max[u], load(x + (i + u) * kWidth));
  }
  for (; i < vectors; ++i) max[0] = maximum(max[0], load(x + i * kWidth));
  const VecF most = maximum(maximum(max[0], max[1]), maximum(max[2], max[3]));
  const VecF shrink = exp_of_shifted(row.max - most);
#pragma GCC unroll 4
  for (int u = 0; u < kUnroll; ++u) row.exps[u] *= shrink;
  row.max = most;
  for (i = 0; i + kUnroll <= vectors; i += kUnroll) {
#pragma GCC unroll 4
    for (int u = 0; u < kUnroll; ++u) {
      const VecF v = load(x + (i + u) * kWidth);
      row.exps[u] += exp_of_shifted(v - most);
      if constexpr (kSmooth) row.values[u] += v;
    }
  }
  for (; i < vectors; ++i) {
    const VecF v = load(x + i * kWidth);
    row.exps[0] += exp_of_shifted(v - most);
    if constexpr (kSmooth) row.values[0] += v;
  }
}

// A block whose logits must first be capped, or whose last vector is not full.
template <bool kSmooth, class T>
void add_copied(RowSums& row, const T* x, int64_t n, float softcap) {
  float block[kBlock] = {};
  const int64_t vectors = (n + kWidth - 1) / kWidth;
  for (int64_t i = 0; i < vectors; ++i) {
    const int64_t left = n - i * kWidth;
    VecF v = left < kWidth ? load_tail(x + i * kWidth, left) : load(x + i * kWidth);
    if (softcap > 0.0f) v = capped(v, softcap);
    // -infinity adds no exponential; the sum of the values is taken care of by the caller.
    store(block + i * kWidth, left < kWidth ? fill_tail(v, left, -kInfinity) : v);
  }
  if constexpr (kSmooth) {
    const int64_t full = n / kWidth;
    add_block<true>(row, block, full);
    if (full == vectors) return;
    const VecF last = load(block + full * kWidth);
    row.values[0] += fill_tail(last, n - full * kWidth, 0.0f);
    add_block<false>(row, block + full * kWidth, 1);
  } else {
    add_block<false>(row, block, vectors);
  }
}

struct RowStats {
  double lse;
  double mean;  // of the logits; only with label smoothing
};

template <class T>
bool has_nan(const T* x, int64_t cols) {
  for (int64_t c = 0; c < cols; ++c) {
    const float v = load_one(x + c);
    if (v != v) return true;
  }
  return false;
}

template <bool kSmooth, class T>
RowStats row_stats(const T* x, int64_t cols, float softcap) {
  RowSums row{broadcast(kLowest), {}, {}};
  for (int64_t c = 0; c < cols; c += kBlock) {
    const int64_t n = cols - c < kBlock ? cols - c : kBlock;
    if (softcap > 0.0f || n % kWidth != 0) {
      add_copied<kSmooth>(row, x + c, n, softcap);
    } else {
      add_block<kSmooth>(row, x + c, n / kWidth);
    }
  }
  float most = row.max[0];
  for (int i = 1; i < kWidth; ++i) most = row.max[i] > most ? row.max[i] : most;
  const VecF exps = (row.exps[0] + row.exps[1]) + (row.exps[2] + row.exps[3]);
  const VecF shrink = exp_of_shifted(row.max - most);
  double sum = 0.0, values = 0.0;
  for (int i = 0; i < kWidth; ++i) sum += static_cast<double>(exps[i]) * shrink[i];
  if constexpr (kSmooth) {
    const VecF all = (row.values[0] + row.values[1]) + (row.values[2] + row.values[3]);
    for (int i = 0; i < kWidth; ++i) values += all[i];
  }
  // A logit of +infinity makes inf - inf above; only a NaN in the row makes its lse one.
  const bool infinite = sum != sum && !has_nan(x, cols);
  const double lse = infinite ? static_cast<double>(kInfinity) : most + __builtin_log(sum);
  return {lse, values / static_cast<double>(cols)};
}

template <class T>
void forward_rows(const CrossEntropyArgs& args, int64_t begin, int64_t end) {
  const double smoothing = args.label_smoothing;
  for (int64_t n = begin; n < end; ++n) {
    const T* x = static_cast<const T*>(args.logits) + n * args.row_stride;
    const int64_t label = args.labels[n];
    if (label == args.ignore_index) {
      args.losses[n] = args.lse[n] = 0.0f;
      continue;
    }
    const RowStats stats = smoothing > 0.0 ? row_stats<true>(x, args.cols, args.softcap)
                                           : row_stats<false>(x, args.cols, args.softcap);
    VecF target = broadcast(load_one(x + label));
    if (args.softcap > 0.0f) target = capped(target, args.softcap);
    double loss = (1.0 - smoothing) * (stats.lse - static_cast<double>(target[0]));
    if (smoothing > 0.0) loss += smoothing * (stats.lse - stats.mean);
    if (args.z_loss > 0.0f) loss += args.z_loss * stats.lse * stats.lse;
    args.losses[n] = static_cast<float>(loss);
    args.lse[n] = static_cast<float>(stats.lse);
  }
}

template <bool kStream, bool kCap, class T>
void write_gradient(T* out, const T* x, int64_t cols, const LogitGradient& row) {
  int64_t c = 0;
  if constexpr (kStream) {  // up to the alignment of a non-temporal store
    constexpr uintptr_t kStoreBytes = kWidth * sizeof(T);
    const uintptr_t past = reinterpret_cast<uintptr_t>(out) % kStoreBytes;
    const int64_t head = past == 0 ? 0 : static_cast<int64_t>((kStoreBytes - past) / sizeof(T));
    c = head < cols ? head : cols;
    store_tail(out, gradient_of<kCap>(row, load_tail(x, c), VecF{}), c);
  }
#pragma GCC unroll 4
  for (; c + kWidth <= cols; c += kWidth) {
    const VecF v = gradient_of<kCap>(row, load(x + c), VecF{});
    if constexpr (kStream) {
      stream(out + c, v);
    } else {
      store(out + c, v);
    }
  }
  if (c < cols) {
    const int64_t n = cols - c;
    store_tail(out + c, gradient_of<kCap>(row, load_tail(x + c, n), VecF{}), n);
  }
}

template <bool kStream, bool kCap, class T>
void backward_rows(const CrossEntropyBackwardArgs& args, int64_t begin, int64_t end) {
  const float vocab = static_cast<float>(args.vocab_size);
  for (int64_t n = begin; n < end; ++n) {
    const T* x = static_cast<const T*>(args.logits) + n * args.row_stride;
    T* out = static_cast<T*>(args.dlogits) + n * args.out_stride;
    if (args.labels[n] == args.ignore_index) {
      __builtin_memset(out, 0, static_cast<size_t>(args.cols) * sizeof(T));
      continue;
    }
    const float dloss = args.dlosses[n], lse = args.lse[n];
    const float scale = args.z_loss > 0.0f ? dloss * (1.0f + 2.0f * args.z_loss * lse) : dloss;
    const LogitGradient row{broadcast(lse), broadcast(scale),
                            broadcast(dloss * args.label_smoothing / vocab), args.softcap};
    const int64_t label = args.labels[n] - args.first_col;
    const bool here = label >= 0 && label < args.cols;
    const VecF target = broadcast(here ? load_one(x + label) : 0.0f);  // `out` may be `x`
    write_gradient<kStream, kCap>(out, x, args.cols, row);
    if constexpr (kStream) stream_fence();
    if (here) {
      const VecF hit = broadcast(dloss * (1.0f - args.label_smoothing));
      store_tail(out + label, gradient_of<kCap>(row, target, hit), 1);
    }
  }
}

template <class T>
void forward(const CrossEntropyArgs& args, const ParallelFor& parallel_for) {
  const auto rows = [&](int64_t begin, int64_t end) { forward_rows<T>(args, begin, end); };
  parallel_for(0, args.rows, grain_rows(args.cols), rows);
}

template <class T>
void backward(const CrossEntropyBackwardArgs& args, const ParallelFor& parallel_for) {
  const bool streams = args.dlogits != args.logits &&
                       streams_output(args.rows * args.cols * element_size(args.dtype));
  const auto rows = [&](int64_t begin, int64_t end) {
    if (args.softcap > 0.0f) return backward_rows<false, true, T>(args, begin, end);
    if (streams) return backward_rows<true, false, T>(args, begin, end);
    return backward_rows<false, false, T>(args, begin, end);
  };
  parallel_for(0, args.rows, grain_rows(args.cols), rows);
}

}  // namespace

void cross_entropy(const CrossEntropyArgs& args, const ParallelFor& parallel_for) {
  switch (args.dtype) {
    case DType::kFloat32:
      return forward<float>(args, parallel_for);
    case DType::kBFloat16:
      return forward<BFloat16>(args, parallel_for);
    default:
      return forward<Float16>(args, parallel_for);
  }
}

void cross_entropy_backward(const CrossEntropyBackwardArgs& args, const ParallelFor& parallel_for) {
  if (args.cols == 0) return;
  switch (args.dtype) {
    case DType::kFloat32:
      return backward<float>(args, parallel_for);
    case DType::kBFloat16:
      return backward<BFloat16>(args, parallel_for);
    default:
      return backward<Float16>(args, parallel_for);
  }
}

}  // namespace llmcore::cpu::LLMCORE_ISA
