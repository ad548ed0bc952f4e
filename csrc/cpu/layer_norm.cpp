// See ops/layer_norm.h.
//
// Ladder: the machine, the load and the command of rms_norm.cpp's. Forward / backward.
//   1. mean, then moments, then the result: three passes over a row in the first-level cache, four
//      rows at a time (two where there are 16 registers)
//        64 MiB x1024   float32 79 % / 56 %, bfloat16 24 % / 25 %
//   2. whole pairs and the part of a pair in code of their own, one multiply-add fewer an element:
//        64 MiB x1024   bfloat16 54 % / 44 % (copy was slower in that run: 18.6 -> 13.5 ms forward)
//   3. groups only where the tensor is below 4 MiB                               <- this version
//        64 MiB x1024   float32 75 % / 51 %, bfloat16 55 % / 49 %
//        8192x192       float32 122 % / 91 %, bfloat16 33 % / 32 %
// Bound by arithmetic with one thread: the extra pass for the mean and the corrections of it.
#include "ops/layer_norm.h"

#include "cpu/isa_variant.h"
#include "cpu/norm_rows.h"

namespace llmcore::cpu::LLMCORE_ISA {

namespace {

constexpr int kGroup = kWidth == 16 ? 4 : 2;  // by the number of registers

// ((h - first) - rest) * r is the normalised row: `first` is near the mean, `rest` what it lacks.
struct Moments {
  float first;
  float rest;
  float r;
};

// h - by; zero in the lanes beyond a part.
template <class T>
inline VecPair centred(const T* x, VecF by, Whole) {
  return shifted(load_pair(x), by);
}
template <class T>
inline VecPair centred(const T* x, VecF by, Part part) {
  T ones[kPair];
  store_pair(ones, VecPair{broadcast(1.0f), broadcast(1.0f)});
  return multiply(shifted(load_pair(x, part), by), load_pair(ones, part));
}

// The row's first element plus the mean of the differences from it: the mean to a rounding or two
// of the larger of both, and exact where all elements are equal.
template <int kRows, class T>
void first_means(float* means, const T* x, int64_t cols) {
  VecF pivots[kRows];
  for (int i = 0; i < kRows; ++i) pivots[i] = broadcast(load_tail(x + i * cols, 1)[0]);
  VecPair sums[kRows] = {};
  for_pairs(cols, [&](int64_t c, auto size) {
#pragma GCC unroll 4
    for (int i = 0; i < kRows; ++i) {
      const VecPair d = centred(x + i * cols + c, pivots[i], size);
      sums[i] = {sums[i].a + d.a, sums[i].b + d.b};
    }
  });
  const float share = 1.0f / static_cast<float>(cols);
  for (int i = 0; i < kRows; ++i) means[i] = pivots[i][0] + sum_lanes(sums[i]) * share;
}

// `share` is 1 / C. A variance that rounds below zero is zero; NaN stays.
inline Moments moments_of(float first, float sum, float squares, float share, float eps) {
  const float rest = sum * share;
  const float variance = squares * share - rest * rest;
  const float kept = variance < 0.0f ? 0.0f : variance;
  return {first, rest, 1.0f / __builtin_sqrtf(kept + eps)};
}

template <int kRows, class T>
void moments_of_rows(Moments* out, const T* x, int64_t cols, float eps) {
  float means[kRows];
  first_means<kRows>(means, x, cols);
  VecF first[kRows];
  for (int i = 0; i < kRows; ++i) first[i] = broadcast(means[i]);
  VecPair sums[kRows] = {}, squares[kRows] = {};
  for_pairs(cols, [&](int64_t c, auto size) {
#pragma GCC unroll 4
    for (int i = 0; i < kRows; ++i) {
      const VecPair d = centred(x + i * cols + c, first[i], size);
      sums[i] = {sums[i].a + d.a, sums[i].b + d.b};
      squares[i] = multiply_add(d, d, squares[i]);
    }
  });
  const float share = 1.0f / static_cast<float>(cols);
  for (int i = 0; i < kRows; ++i) {
    out[i] = moments_of(means[i], sum_lanes(sums[i]), sum_lanes(squares[i]), share, eps);
  }
}

// The moments in every lane: the normalised row is (h - first) * r + shift.
struct Lanes {
  VecF first;
  VecF r;
  VecF shift;
};

inline Lanes lanes_of(const Moments& m) {
  return {broadcast(m.first), broadcast(m.r), broadcast(-(m.rest * m.r))};
}

inline VecPair normalised(VecPair h, const Lanes& lanes) {
  const VecPair d = shifted(h, lanes.first);
  return multiply_add(d, {lanes.r, lanes.r}, {lanes.shift, lanes.shift});
}

// Factors per channel, in lane order.
struct Channels {
  const float* gains;
  const float* biases;
};

template <int kRows, class T>
void write_rows(T* y, const T* x, const Channels& channels, int64_t cols, const Moments* moments) {
  Lanes lanes[kRows];
  for (int i = 0; i < kRows; ++i) lanes[i] = lanes_of(moments[i]);
  for_pairs(cols, [&](int64_t c, auto size) {
    const VecPair gain = load_pair(channels.gains + c), bias = load_pair(channels.biases + c);
#pragma GCC unroll 4
    for (int i = 0; i < kRows; ++i) {
      const VecPair u = normalised(load_pair(x + i * cols + c, size), lanes[i]);
      store_pair(y + i * cols + c, multiply_add(u, gain, bias), size);
    }
  });
}

template <class T>
void forward_rows(const LayerNormArgs& args, const Channels& channels, int64_t begin, int64_t end) {
  const int64_t cols = args.cols;
  const T* x = static_cast<const T*>(args.x);
  const T* residual = static_cast<const T*>(args.residual);
  const bool groups = takes_groups<T>(args.rows, cols);
  const bool streams = streams_output(args.rows * cols * static_cast<int64_t>(sizeof(T)));
  const int64_t group = groups ? kGroup : 1;
  RowOutput<T> y(static_cast<T*>(args.y) + begin * cols, streams, Scratch::kFirstOutput,
                 chunk_elements(group, cols));
  T* h_begin = residual == nullptr ? nullptr : static_cast<T*>(args.h) + begin * cols;
  RowOutput<T> h(h_begin, streams, Scratch::kSecondOutput, group * cols);
  for_row_groups<kGroup>(begin, end, groups, [&]<int kRows>(int64_t n) {
    const T* from = x + n * cols;
    if (residual != nullptr) {
      add_residual(h.rows(), from, residual + n * cols, args.residual_scale, kRows * cols);
      from = h.rows();
    }
    Moments moments[kRows];
    moments_of_rows<kRows>(moments, from, cols, args.eps);
    for_chunks<kRows>(cols, [&](int64_t c, int64_t num_cols) {
      const Channels chunk{channels.gains + c, channels.biases + c};
      write_rows<kRows>(y.rows(), from + c, chunk, num_cols, moments);
      y.advance(kRows * num_cols);
    });
    if (residual != nullptr) h.advance(kRows * cols);
  });
  y.finish();
  if (residual != nullptr) h.finish();
}

// --- backward ----------------------------------------------------------------------------------

// What the backward of a row needs of its sums: dx = r * g - mean - slope * u, u the normalised
// row.
struct Pull {
  Moments moments;
  float mean;
  float slope;
};

template <int kRows, class T>
void pull_of_rows(Pull* out, const T* dy, const T* x, const float* gains, int64_t cols, float eps) {
  float means[kRows];
  first_means<kRows>(means, x, cols);
  VecF first[kRows];
  for (int i = 0; i < kRows; ++i) first[i] = broadcast(means[i]);
  VecF sums[kRows] = {}, squares[kRows] = {}, gs[kRows] = {}, gds[kRows] = {};
  for_pairs(cols, [&](int64_t c, auto size) {
    const VecPair gain = load_pair(gains + c);
#pragma GCC unroll 4
    for (int i = 0; i < kRows; ++i) {
      const VecPair d = centred(x + i * cols + c, first[i], size);
      const VecPair g = multiply(load_pair(dy + i * cols + c, size), gain);
      sums[i] += d.a + d.b;
      squares[i] = fused_multiply_add(d.b, d.b, fused_multiply_add(d.a, d.a, squares[i]));
      gs[i] += g.a + g.b;
      gds[i] = fused_multiply_add(g.b, d.b, fused_multiply_add(g.a, d.a, gds[i]));
    }
  });
  const float share = 1.0f / static_cast<float>(cols);
  for (int i = 0; i < kRows; ++i) {
    const Moments m = moments_of(means[i], sum_lanes(sums[i]), sum_lanes(squares[i]), share, eps);
    const float g = sum_lanes(gs[i]) * share, gd = sum_lanes(gds[i]) * share;
    out[i] = {m, m.r * g, m.r * m.r * (gd - m.rest * g)};
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

// dx (and dresidual) of kRows rows, and their shares of dweight and dbias added to the partials.
template <bool kAdd, int kRows, class T>
void backward_rows(const BackwardRows<T>& rows, float* dweight, float* dbias, const float* gains,
                   int64_t cols, const Pull* pulls) {
  Lanes lanes[kRows];
  VecF means[kRows], slopes[kRows];
  for (int i = 0; i < kRows; ++i) {
    lanes[i] = lanes_of(pulls[i].moments);
    means[i] = broadcast(pulls[i].mean);
    slopes[i] = broadcast(-pulls[i].slope);
  }
  for_pairs(cols, [&](int64_t c, auto size) {
    const VecPair gain = load_pair(gains + c);
    VecPair share = load_pair(dweight + c), bias_share = load_pair(dbias + c);
#pragma GCC unroll 4
    for (int i = 0; i < kRows; ++i) {
      const int64_t at = i * cols + c;
      const VecPair u = normalised(load_pair(rows.x + at, size), lanes[i]);
      const VecPair dy = load_pair(rows.dy + at, size);
      const VecPair scaled_gain = scaled(gain, lanes[i].r);
      const VecPair centred_g = {fused_multiply_add(dy.a, scaled_gain.a, -means[i]),
                                 fused_multiply_add(dy.b, scaled_gain.b, -means[i])};
      VecPair out = multiply_add(u, {slopes[i], slopes[i]}, centred_g);
      share = multiply_add(dy, u, share);
      bias_share = {bias_share.a + dy.a, bias_share.b + dy.b};
      if constexpr (kAdd) {
        if (rows.dh != nullptr) {
          const VecPair dh = load_pair(rows.dh + at, size);
          out = {out.a + dh.a, out.b + dh.b};
        }
        if (rows.dresidual != nullptr) {
          store_pair(rows.dresidual + at, scaled(out, broadcast(rows.residual_scale)), size);
        }
      }
      store_pair(rows.dx + at, out, size);
    }
    store_pair(dweight + c, share);
    store_pair(dbias + c, bias_share);
  });
}

template <bool kAdd, class T>
void backward_blocks(const LayerNormBackwardArgs& args, const float* gains, int64_t first,
                     int64_t last) {
  const int64_t cols = args.cols, padded = norm_padded_cols(cols);
  const int64_t per_block = norm_rows_per_partial(args.rows);
  const bool groups = takes_groups<T>(args.rows, cols);
  const bool streams = streams_output(args.rows * cols * static_cast<int64_t>(sizeof(T)));
  const int64_t room = chunk_elements(groups ? kGroup : 1, cols);
  const int64_t begin = first * per_block * cols;
  T* dresidual = static_cast<T*>(args.dresidual);
  RowOutput<T> dx(static_cast<T*>(args.dx) + begin, streams, Scratch::kFirstOutput, room);
  RowOutput<T> dr(dresidual == nullptr ? nullptr : dresidual + begin, streams,
                  Scratch::kSecondOutput, room);
  for (int64_t block = first; block < last; ++block) {
    float* partial = args.partials + block * 2 * padded;
    zero_floats(partial, 2 * padded);
    const int64_t from = block * per_block, end = from + per_block;
    const int64_t to = end < args.rows ? end : args.rows;
    for_row_groups<kGroup>(from, to, groups, [&]<int kRows>(int64_t n) {
      const T* x = static_cast<const T*>(args.x) + n * cols;
      const T* dy = static_cast<const T*>(args.dy) + n * cols;
      const T* dh = static_cast<const T*>(args.dh);
      Pull pulls[kRows];
      pull_of_rows<kRows>(pulls, dy, x, gains, cols, args.eps);
      for_chunks<kRows>(cols, [&](int64_t c, int64_t num_cols) {
        const BackwardRows<T> rows{
            dy + c,    x + c,     dh == nullptr ? nullptr : dh + n * cols + c,
            dx.rows(), dr.rows(), args.residual_scale};
        backward_rows<kAdd, kRows>(rows, partial + c, partial + padded + c, gains + c, num_cols,
                                   pulls);
        dx.advance(kRows * num_cols);
        if (dresidual != nullptr) dr.advance(kRows * num_cols);
      });
    });
  }
  dx.finish();
  if (dresidual != nullptr) dr.finish();
}

template <class T>
void forward(const LayerNormArgs& args, const ParallelFor& parallel_for) {
  const int64_t padded = norm_padded_cols(args.cols);
  float* gains = thread_floats(Scratch::kChannels, 2 * padded);
  widen_channels(gains, static_cast<const T*>(args.weight), args.cols, 0.0f);
  widen_channels(gains + padded, static_cast<const T*>(args.bias), args.cols, 0.0f);
  const Channels channels{gains, gains + padded};
  const auto rows = [&](int64_t begin, int64_t end) {
    forward_rows<T>(args, channels, begin, end);
  };
  parallel_for(0, args.rows, grain_rows(args.cols), rows);
}

template <bool kAdd, class T>
void backward(const LayerNormBackwardArgs& args, const ParallelFor& parallel_for) {
  const int64_t padded = norm_padded_cols(args.cols);
  float* gains = thread_floats(Scratch::kChannels, padded);
  widen_channels(gains, static_cast<const T*>(args.weight), args.cols, 0.0f);
  const auto blocks = [&](int64_t begin, int64_t end) {
    backward_blocks<kAdd, T>(args, gains, begin, end);
  };
  const int64_t block_elements = norm_rows_per_partial(args.rows) * args.cols;
  parallel_for(0, args.num_partials, grain_rows(block_elements), blocks);
  sum_partials(static_cast<T*>(args.dweight), args.partials, args.num_partials, 2 * padded,
               args.cols, parallel_for);
  if (args.dbias == nullptr) return;
  sum_partials(static_cast<T*>(args.dbias), args.partials + padded, args.num_partials, 2 * padded,
               args.cols, parallel_for);
}

template <class T>
void backward_of_type(const LayerNormBackwardArgs& args, const ParallelFor& parallel_for) {
  if (args.dh != nullptr || args.dresidual != nullptr) {
    return backward<true, T>(args, parallel_for);
  }
  backward<false, T>(args, parallel_for);
}

}  // namespace

void layer_norm(const LayerNormArgs& args, const ParallelFor& parallel_for) {
  switch (args.dtype) {
    case DType::kFloat32:
      return forward<float>(args, parallel_for);
    case DType::kBFloat16:
      return forward<BFloat16>(args, parallel_for);
    default:
      return forward<Float16>(args, parallel_for);
  }
}

void layer_norm_backward(const LayerNormBackwardArgs& args, const ParallelFor& parallel_for) {
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
