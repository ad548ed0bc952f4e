// See ops/rms_norm.h.
//
// Ladder: AMD EPYC (Zen 4, 1 MiB L2, 32 MiB L3, avx512_bf16) that others loaded heavily;
// `bench_norm
// --threads 1`, so the thread's CPU time; % of the copy of as many bytes in the same rounds, which
// one thread already takes to 28 GB/s. Forward / backward.
//   1. row by row, vectors widened and packed one by one, tails through a buffer; two threads,
//   quiet:
//        8192x192 in the cache, bfloat16: 44 % / 38 %
//   2. pairs of vectors (vec_pair.h), four rows at a time, fewer products in the backward; results
//      leave through the first-level cache in whole lines (row_output.h), so 1000 columns stream
//      too
//        64 MiB x1024   float32 98 % / 52 %, bfloat16 42 % / 31 %
//      From memory four rows are four streams, and the prefetcher follows them worse: twice the
//      time.
//   3. groups only where the tensor is below 4 MiB                               <- this version
//        64 MiB x1024   float32 93 % / 58 %, bfloat16 79 % / 60 %
//        64 MiB x1000   float32 82 % / 66 %, bfloat16 72 % / 62 %
//        8192x192       float32 90 % / 136 %, bfloat16 52 % / 57 %
// The cached bfloat16 passes are bound by arithmetic: 6 and 14 512-bit float operations for 32
// elements, one a cycle here, with the splits and joins beside them; 0.104 and 0.19 ns an element
// measured (11 and 20 cycles for 32), where memcpy takes 5.
// Did not help: prefetching the next rows by hand (forward float32 0.29 -> 0.39 ns an element).
#include "ops/rms_norm.h"

#include "cpu/isa_variant.h"
#include "cpu/norm_rows.h"

namespace llmcore::cpu::LLMCORE_ISA {

namespace {

constexpr int kForwardGroup = 4;
constexpr int kBackwardGroup = kWidth == 16 ? 4 : 2;  // by the number of registers

inline float inverse_root(float mean_square, float eps) {
  return 1.0f / __builtin_sqrtf(mean_square + eps);
}

// r of kRows rows from their first rms_cols columns.
template <int kRows, class T>
void inverse_rms_of_rows(float* r, const T* x, int64_t cols, int64_t rms_cols, float eps) {
  VecPair sums[kRows] = {};
  for_pairs(rms_cols, [&](int64_t c, auto size) {
#pragma GCC unroll 4
    for (int i = 0; i < kRows; ++i) {
      const VecPair v = load_pair(x + i * cols + c, size);
      sums[i] = multiply_add(v, v, sums[i]);
    }
  });
  const float share = 1.0f / static_cast<float>(rms_cols);
  for (int i = 0; i < kRows; ++i) r[i] = inverse_root(sum_lanes(sums[i]) * share, eps);
}

template <int kRows, class T>
void write_rows(T* y, const T* x, const float* gains, int64_t cols, const float* r) {
  VecF scales[kRows];
  for (int i = 0; i < kRows; ++i) scales[i] = broadcast(r[i]);
  for_pairs(cols, [&](int64_t c, auto size) {
    const VecPair gain = load_pair(gains + c);
#pragma GCC unroll 4
    for (int i = 0; i < kRows; ++i) {
      const VecPair v = scaled(load_pair(x + i * cols + c, size), scales[i]);
      store_pair(y + i * cols + c, multiply(v, gain), size);
    }
  });
}

template <class T>
void forward_rows(const RmsNormArgs& args, const float* gains, int64_t begin, int64_t end) {
  const int64_t cols = args.cols, rms_cols = args.rms_cols < 0 ? cols : args.rms_cols;
  const T* x = static_cast<const T*>(args.x);
  const T* residual = static_cast<const T*>(args.residual);
  const bool groups = takes_groups<T>(args.rows, cols);
  const bool streams = streams_output(args.rows * cols * static_cast<int64_t>(sizeof(T)));
  const int64_t group = groups ? kForwardGroup : 1;
  RowOutput<T> y(static_cast<T*>(args.y) + begin * cols, streams, Scratch::kFirstOutput,
                 chunk_elements(group, cols));
  T* h_begin = residual == nullptr ? nullptr : static_cast<T*>(args.h) + begin * cols;
  RowOutput<T> h(h_begin, streams, Scratch::kSecondOutput, group * cols);
  for_row_groups<kForwardGroup>(begin, end, groups, [&]<int kRows>(int64_t n) {
    const T* from = x + n * cols;
    if (residual != nullptr) {
      add_residual(h.rows(), from, residual + n * cols, args.residual_scale, kRows * cols);
      from = h.rows();
    }
    float r[kRows];
    inverse_rms_of_rows<kRows>(r, from, cols, rms_cols, args.eps);
    for_chunks<kRows>(cols, [&](int64_t c, int64_t num_cols) {
      write_rows<kRows>(y.rows(), from + c, gains + c, num_cols, r);
      y.advance(kRows * num_cols);
    });
    if (residual != nullptr) h.advance(kRows * cols);
  });
  y.finish();
  if (residual != nullptr) h.finish();
}

// --- backward ----------------------------------------------------------------------------------

enum class Variant { kPlain, kPartial, kAdd };

// What the backward of a row needs of its sums: dx = r * g - slope * x.
struct Pull {
  float r;
  float slope;
};

// Factors per channel, in lane order: the gain, and for kPartial 1 where c < rms_cols, else 0.
struct Channels {
  const float* gains;
  const float* counted;
};

template <Variant kVariant, int kRows, class T>
void pull_of_rows(Pull* out, const T* dy, const T* x, const Channels& channels, int64_t cols,
                  int64_t rms_cols, float eps) {
  VecPair xx[kRows] = {}, gx[kRows] = {};
  for_pairs(cols, [&](int64_t c, auto size) {
    const VecPair gain = load_pair(channels.gains + c);
#pragma GCC unroll 4
    for (int i = 0; i < kRows; ++i) {
      const VecPair v = load_pair(x + i * cols + c, size);
      const VecPair g = multiply(load_pair(dy + i * cols + c, size), gain);
      VecPair counted = v;
      if constexpr (kVariant == Variant::kPartial) {
        counted = multiply(v, load_pair(channels.counted + c));
      }
      xx[i] = multiply_add(counted, v, xx[i]);
      gx[i] = multiply_add(g, v, gx[i]);
    }
  });
  const float share = 1.0f / static_cast<float>(rms_cols);
  for (int i = 0; i < kRows; ++i) {
    const float r = inverse_root(sum_lanes(xx[i]) * share, eps);
    out[i] = {r, r * r * r * (sum_lanes(gx[i]) * share)};
  }
}

// Rows of the backward's inputs and outputs; null where the call has none.
template <class T>
struct BackwardRows {
  const T* dy;
  const T* x;
  const T* dh;
  T* dx;
  T* dresidual;
  float residual_scale;
};

// dx (and dresidual) of kRows rows, and their share of dweight added to `partial`.
template <Variant kVariant, int kRows, class T>
void backward_rows(const BackwardRows<T>& rows, float* partial, const Channels& channels,
                   int64_t cols, const Pull* pulls) {
  VecF scales[kRows], slopes[kRows];
  for (int i = 0; i < kRows; ++i) {
    scales[i] = broadcast(pulls[i].r);
    slopes[i] = broadcast(-pulls[i].slope);
  }
  for_pairs(cols, [&](int64_t c, auto size) {
    const VecPair gain = load_pair(channels.gains + c);
    VecPair share = load_pair(partial + c);
#pragma GCC unroll 4
    for (int i = 0; i < kRows; ++i) {
      const int64_t at = i * cols + c;
      const VecPair v = load_pair(rows.x + at, size);
      const VecPair dy = scaled(load_pair(rows.dy + at, size), scales[i]);
      VecPair pulled = scaled(v, slopes[i]);
      if constexpr (kVariant == Variant::kPartial) {
        pulled = multiply(pulled, load_pair(channels.counted + c));
      }
      VecPair d = multiply_add(dy, gain, pulled);
      share = multiply_add(dy, v, share);
      if constexpr (kVariant == Variant::kAdd) {
        if (rows.dh != nullptr) {
          const VecPair dh = load_pair(rows.dh + at, size);
          d = {d.a + dh.a, d.b + dh.b};
        }
        if (rows.dresidual != nullptr) {
          const VecPair out = scaled(d, broadcast(rows.residual_scale));
          store_pair(rows.dresidual + at, out, size);
        }
      }
      store_pair(rows.dx + at, d, size);
    }
    store_pair(partial + c, share);
  });
}

template <Variant kVariant, class T>
void backward_blocks(const RmsNormBackwardArgs& args, const Channels& channels, int64_t first,
                     int64_t last) {
  const int64_t cols = args.cols, rms_cols = args.rms_cols < 0 ? cols : args.rms_cols;
  const int64_t stride = norm_padded_cols(cols), per_block = norm_rows_per_partial(args.rows);
  const bool groups = takes_groups<T>(args.rows, cols);
  const bool streams = streams_output(args.rows * cols * static_cast<int64_t>(sizeof(T)));
  const int64_t room = chunk_elements(groups ? kBackwardGroup : 1, cols);
  const int64_t begin = first * per_block * cols;
  T* dresidual = static_cast<T*>(args.dresidual);
  RowOutput<T> dx(static_cast<T*>(args.dx) + begin, streams, Scratch::kFirstOutput, room);
  RowOutput<T> dr(dresidual == nullptr ? nullptr : dresidual + begin, streams,
                  Scratch::kSecondOutput, room);
  for (int64_t block = first; block < last; ++block) {
    float* partial = args.partials + block * stride;
    zero_floats(partial, stride);
    const int64_t from = block * per_block, end = from + per_block;
    const int64_t to = end < args.rows ? end : args.rows;
    for_row_groups<kBackwardGroup>(from, to, groups, [&]<int kRows>(int64_t n) {
      const T* x = static_cast<const T*>(args.x) + n * cols;
      const T* dy = static_cast<const T*>(args.dy) + n * cols;
      const T* dh = static_cast<const T*>(args.dh);
      Pull pulls[kRows];
      pull_of_rows<kVariant, kRows>(pulls, dy, x, channels, cols, rms_cols, args.eps);
      for_chunks<kRows>(cols, [&](int64_t c, int64_t num_cols) {
        const BackwardRows<T> rows{
            dy + c,    x + c,     dh == nullptr ? nullptr : dh + n * cols + c,
            dx.rows(), dr.rows(), args.residual_scale};
        const Channels chunk{channels.gains + c, channels.counted + c};
        backward_rows<kVariant, kRows>(rows, partial + c, chunk, num_cols, pulls);
        dx.advance(kRows * num_cols);
        if (dresidual != nullptr) dr.advance(kRows * num_cols);
      });
    });
  }
  dx.finish();
  if (dresidual != nullptr) dr.finish();
}

// 1 for the first rms_cols channels, else 0, in the lane order of load_pair<T>.
template <class T>
void mark_counted(float* counted, int64_t cols, int64_t rms_cols) {
  for (int64_t c = 0; c < cols; c += kPair) {
    T ones[kPair];
    store_pair(ones, VecPair{broadcast(1.0f), broadcast(1.0f)});
    const int64_t n = rms_cols - c < 0 ? 0 : (rms_cols - c < kPair ? rms_cols - c : kPair);
    store_pair(counted + c, load_pair_tail(ones, n));
  }
}

template <class T>
void forward(const RmsNormArgs& args, const ParallelFor& parallel_for) {
  float* gains = thread_floats(Scratch::kChannels, norm_padded_cols(args.cols));
  widen_channels(gains, static_cast<const T*>(args.weight), args.cols, args.offset);
  const auto rows = [&](int64_t begin, int64_t end) { forward_rows<T>(args, gains, begin, end); };
  parallel_for(0, args.rows, grain_rows(args.cols), rows);
}

template <Variant kVariant, class T>
void backward(const RmsNormBackwardArgs& args, const ParallelFor& parallel_for) {
  const int64_t padded = norm_padded_cols(args.cols);
  float* gains = thread_floats(Scratch::kChannels, 2 * padded);
  const Channels channels{gains, gains + padded};
  widen_channels(gains, static_cast<const T*>(args.weight), args.cols, args.offset);
  if constexpr (kVariant == Variant::kPartial) {
    mark_counted<T>(gains + padded, args.cols, args.rms_cols);
  }
  const auto blocks = [&](int64_t begin, int64_t end) {
    backward_blocks<kVariant, T>(args, channels, begin, end);
  };
  const int64_t block_elements = norm_rows_per_partial(args.rows) * args.cols;
  parallel_for(0, args.num_partials, grain_rows(block_elements), blocks);
  sum_partials(static_cast<T*>(args.dweight), args.partials, args.num_partials, padded, args.cols,
               parallel_for);
}

template <class T>
void backward_of_type(const RmsNormBackwardArgs& args, const ParallelFor& parallel_for) {
  if (args.dh != nullptr || args.dresidual != nullptr) {
    return backward<Variant::kAdd, T>(args, parallel_for);
  }
  if (args.rms_cols >= 0 && args.rms_cols < args.cols) {
    return backward<Variant::kPartial, T>(args, parallel_for);
  }
  backward<Variant::kPlain, T>(args, parallel_for);
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
      return backward_of_type<float>(args, parallel_for);
    case DType::kBFloat16:
      return backward_of_type<BFloat16>(args, parallel_for);
    default:
      return backward_of_type<Float16>(args, parallel_for);
  }
}

}  // namespace llmcore::cpu::LLMCORE_ISA
