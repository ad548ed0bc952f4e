// See ops/rms_norm.h.
//
// Ladder: `bench_rms_norm 2` of benchmarks/cpp on an AMD EPYC (Zen 4, 32 MiB L3, avx512_bf16), two
// threads, quiet; % of the memcpy of as many bytes in the same rounds; middle of three runs.
//   1. plain stores: each line of the output is read before it is written. Not measured alone.
//   2. non-temporal stores above half the L3                                   <- this version
//        64 MiB, memcpy 28-32 GB/s   forward float32 102 %, bfloat16 126 %; backward 92 %, 103 %
//        8192x192, in the cache,     forward float32  94 %, bfloat16  44 %; backward 59 %,  38 %
//        memcpy 79-97 GB/s (float32), 59-72 (bfloat16)
//      An earlier run at 64 MiB, when memcpy reached 17 GB/s:
//                                    forward float32  99 %, bfloat16 146 %; backward 87 %, 103 %
// Not known: what bounds the cached bfloat16 passes, and why memcpy is beaten where it is.
#include "ops/rms_norm.h"

#include "cpu/isa_variant.h"
#include "cpu/tuning.h"
#include "cpu/vec.h"

namespace llmcore::cpu::LLMCORE_ISA {

namespace {

constexpr int kUnroll = 4;  // independent accumulators: hides the latency of an add

inline float inverse_rms(float sum_of_squares, int64_t cols, float eps) {
  return 1.0f / __builtin_sqrtf(sum_of_squares / static_cast<float>(cols) + eps);
}

template <class T>
float sum_of_squares(const T* x, int64_t cols) {
  VecF sums[kUnroll] = {};
  int64_t c = 0;
  for (; c + kUnroll * kWidth <= cols; c += kUnroll * kWidth) {
#pragma GCC unroll 4
    for (int u = 0; u < kUnroll; ++u) {
      const VecF v = load(x + c + u * kWidth);
      sums[u] += v * v;
    }
  }
  for (; c + kWidth <= cols; c += kWidth) {
    const VecF v = load(x + c);
    sums[0] += v * v;
  }
  if (c < cols) {
    const VecF v = load_tail(x + c, cols - c);
    sums[1] += v * v;
  }
  return sum_lanes((sums[0] + sums[1]) + (sums[2] + sums[3]));
}

template <bool kStream, class T>
void write_row(T* y, const T* x, const T* weight, int64_t cols, float scale) {
  const VecF scales = broadcast(scale);
  int64_t c = 0;
  for (; c + kWidth <= cols; c += kWidth) {
    const VecF v = load(x + c) * scales * load(weight + c);
    if constexpr (kStream) {
      stream(y + c, v);
    } else {
      store(y + c, v);
    }
  }
  if (c < cols) {
    const int64_t n = cols - c;
    store_tail(y + c, load_tail(x + c, n) * scales * load_tail(weight + c, n), n);
  }
}

template <bool kStream, class T>
void forward_rows(const RmsNormArgs& args, int64_t begin, int64_t end) {
  const T* x = static_cast<const T*>(args.x);
  T* y = static_cast<T*>(args.y);
  for (int64_t n = begin; n < end; ++n) {
    const T* row = x + n * args.cols;
    const float scale = inverse_rms(sum_of_squares(row, args.cols), args.cols, args.eps);
    write_row<kStream>(y + n * args.cols, row, static_cast<const T*>(args.weight), args.cols,
                       scale);
  }
  if constexpr (kStream) stream_fence();
}

// Both sums of the backward in one pass over the row: sum(x^2) and sum(dy * weight * x).
struct RowSums {
  float xx;
  float gx;
};

template <class T>
RowSums backward_sums(const T* dy, const T* x, const T* weight, int64_t cols) {
  VecF xx[2] = {}, gx[2] = {};
  int64_t c = 0;
  for (; c + 2 * kWidth <= cols; c += 2 * kWidth) {
#pragma GCC unroll 2
    for (int u = 0; u < 2; ++u) {
      const VecF v = load(x + c + u * kWidth);
      xx[u] += v * v;
      gx[u] += load(dy + c + u * kWidth) * load(weight + c + u * kWidth) * v;
    }
  }
  for (; c < cols; c += kWidth) {
    const int64_t n = cols - c < kWidth ? cols - c : kWidth;
    const VecF v = load_tail(x + c, n);
    xx[0] += v * v;
    gx[0] += load_tail(dy + c, n) * load_tail(weight + c, n) * v;
  }
  return {sum_lanes(xx[0] + xx[1]), sum_lanes(gx[0] + gx[1])};
}

// dx of one row, and the row's share of dweight added to `partial`.
template <bool kStream, class T>
void backward_row(T* dx, float* partial, const T* dy, const T* x, const T* weight, int64_t cols,
                  float eps) {
  const RowSums sums = backward_sums(dy, x, weight, cols);
  const float r = inverse_rms(sums.xx, cols, eps);
  const VecF scale = broadcast(r);
  const VecF pull = broadcast(r * r * (sums.gx / static_cast<float>(cols)));
  int64_t c = 0;
  for (; c + kWidth <= cols; c += kWidth) {
    const VecF vx = load(x + c), vdy = load(dy + c);
    const VecF v = scale * (vdy * load(weight + c) - vx * pull);
    if constexpr (kStream) {
      stream(dx + c, v);
    } else {
      store(dx + c, v);
    }
    store(partial + c, load(partial + c) + vdy * (vx * scale));
  }
  if (c < cols) {
    const int64_t n = cols - c;
    const VecF vx = load_tail(x + c, n), vdy = load_tail(dy + c, n);
    store_tail(dx + c, scale * (vdy * load_tail(weight + c, n) - vx * pull), n);
    store_tail(partial + c, load_tail(partial + c, n) + vdy * (vx * scale), n);
  }
}

template <bool kStream, class T>
void backward_block(const RmsNormBackwardArgs& args, int64_t block) {
  const int64_t rows_per_block = rms_norm_rows_per_partial(args.rows);
  const int64_t begin = block * rows_per_block;
  const int64_t end = begin + rows_per_block < args.rows ? begin + rows_per_block : args.rows;
  float* partial = args.partials + block * args.cols;
  for (int64_t c = 0; c < args.cols; ++c) partial[c] = 0.0f;
  for (int64_t n = begin; n < end; ++n) {
    const int64_t at = n * args.cols;
    backward_row<kStream>(static_cast<T*>(args.dx) + at, partial,
                          static_cast<const T*>(args.dy) + at, static_cast<const T*>(args.x) + at,
                          static_cast<const T*>(args.weight), args.cols, args.eps);
  }
  if constexpr (kStream) stream_fence();
}

// dweight for columns [begin, end), kWidth at a time: the blocks' partials in block order.
template <class T>
void sum_partials(const RmsNormBackwardArgs& args, int64_t begin, int64_t end) {
  typedef double VecD __attribute__((vector_size(kWidth * 8)));
  T* dweight = static_cast<T*>(args.dweight);
  for (int64_t c = begin; c < end; c += kWidth) {
    const int64_t n = end - c < kWidth ? end - c : kWidth;
    VecD sum = {};
    for (int64_t p = 0; p < args.num_partials; ++p) {
      const float* from = args.partials + p * args.cols + c;
      sum += __builtin_convertvector(n == kWidth ? load(from) : load_tail(from, n), VecD);
    }
    store_tail(dweight + c, __builtin_convertvector(sum, VecF), n);
  }
}

bool may_stream(const void* out, int64_t rows, int64_t cols, DType dtype) {
  const int64_t store_bytes = kWidth * element_size(dtype);
  const bool aligned = reinterpret_cast<uintptr_t>(out) % store_bytes == 0 &&
                       cols * element_size(dtype) % store_bytes == 0;
  return aligned && streams_output(rows * cols * element_size(dtype));
}

template <class T>
void forward(const RmsNormArgs& args, const ParallelFor& parallel_for) {
  const bool streams = may_stream(args.y, args.rows, args.cols, args.dtype);
  const auto rows = [&](int64_t begin, int64_t end) {
    if (streams) {
      forward_rows<true, T>(args, begin, end);
    } else {
      forward_rows<false, T>(args, begin, end);
    }
  };
  parallel_for(0, args.rows, grain_rows(args.cols), rows);
}

template <class T>
void backward(const RmsNormBackwardArgs& args, const ParallelFor& parallel_for) {
  const bool streams = may_stream(args.dx, args.rows, args.cols, args.dtype);
  const auto blocks = [&](int64_t begin, int64_t end) {
    for (int64_t block = begin; block < end; ++block) {
      if (streams) {
        backward_block<true, T>(args, block);
      } else {
        backward_block<false, T>(args, block);
      }
    }
  };
  const int64_t block_elements = rms_norm_rows_per_partial(args.rows) * args.cols;
  parallel_for(0, args.num_partials, grain_rows(block_elements), blocks);
  const auto columns = [&](int64_t begin, int64_t end) { sum_partials<T>(args, begin, end); };
  parallel_for(0, args.cols, grain_rows(args.num_partials), columns);
}

}  // namespace

void rms_norm(const RmsNormArgs& args, const ParallelFor& parallel_for) {
  switch (args.dtype) {
    case DType::kFloat32:
      return forward<float>(args, parallel_for);
    case DType::kBFloat16:
      return forward<BFloat16>(args, parallel_for);
    default:
      return forward<Float16>(args, parallel_for);
  }
}

void rms_norm_backward(const RmsNormBackwardArgs& args, const ParallelFor& parallel_for) {
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
