// See ops/rope.h.
//
// LADDER
#include "ops/rope.h"

#include "cpu/isa_variant.h"
#include "cpu/tuning.h"
#include "cpu/vec_math.h"
#include "cpu/vec_pair.h"

namespace llmcore::cpu::LLMCORE_ISA {

namespace {

constexpr int64_t kStageBytes = 16384;  // half of a first-level cache

inline VecPair rotate(VecPair x, VecF c, VecF s) {
  return {fused_multiply_add(-x.b, s, x.a * c), fused_multiply_add(x.a, s, x.b * c)};
}

// Two registers of neighbours to those of even and of odd index, and back. A pair of bfloat16 is
// loaded split that way.
inline VecPair deinterleave(VecPair v) {
#if defined(__AVX512F__)
  return {
      __builtin_shufflevector(v.a, v.b, 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30),
      __builtin_shufflevector(v.a, v.b, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31)};
#elif defined(__AVX2__)
  return {__builtin_shufflevector(v.a, v.b, 0, 2, 4, 6, 8, 10, 12, 14),
          __builtin_shufflevector(v.a, v.b, 1, 3, 5, 7, 9, 11, 13, 15)};
#else
  return {__builtin_shufflevector(v.a, v.b, 0, 2, 4, 6),
          __builtin_shufflevector(v.a, v.b, 1, 3, 5, 7)};
#endif
}
inline VecPair interleave(VecPair v) {
#if defined(__AVX512F__)
  return {__builtin_shufflevector(v.a, v.b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23),
          __builtin_shufflevector(v.a, v.b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30,
                                  15, 31)};
#elif defined(__AVX2__)
  return {__builtin_shufflevector(v.a, v.b, 0, 8, 1, 9, 2, 10, 3, 11),
          __builtin_shufflevector(v.a, v.b, 4, 12, 5, 13, 6, 14, 7, 15)};
#else
  return {__builtin_shufflevector(v.a, v.b, 0, 4, 1, 5),
          __builtin_shufflevector(v.a, v.b, 2, 6, 3, 7)};
#endif
}

template <class T>
constexpr bool kLoadsSplit = false;
template <>
constexpr bool kLoadsSplit<BFloat16> = true;

// One head; the tables' row is in `c` and `s`, `sign` turns the angle. y may be x.
template <class T>
inline void rotate_halves(T* y, const T* x, const float* c, const float* s, VecF sign,
                          int64_t pairs) {
  int64_t i = 0;
  for (; i + kWidth <= pairs; i += kWidth) {
    const VecPair v = rotate({load(x + i), load(x + pairs + i)}, load(c + i), load(s + i) * sign);
    store(y + i, v.a);
    store(y + pairs + i, v.b);
  }
  if (i < pairs) {
    const int64_t n = pairs - i;
    const VecPair v = rotate({load_tail(x + i, n), load_tail(x + pairs + i, n)},
                             load_tail(c + i, n), load_tail(s + i, n) * sign);
    store_tail(y + i, v.a, n);
    store_tail(y + pairs + i, v.b, n);
  }
}

template <class T>
inline VecPair rotate_neighbours(VecPair x, VecF c, VecF s) {
  if constexpr (kLoadsSplit<T>) {
    return rotate(x, c, s);
  } else {
    return interleave(rotate(deinterleave(x), c, s));
  }
}

template <class T>
inline void rotate_interleaved(T* y, const T* x, const float* c, const float* s, VecF sign,
                               int64_t pairs) {
  int64_t i = 0;
  for (; i + kWidth <= pairs; i += kWidth) {
    store_pair(y + 2 * i,
               rotate_neighbours<T>(load_pair(x + 2 * i), load(c + i), load(s + i) * sign));
  }
  if (i < pairs) {
    const int64_t n = pairs - i;
    const VecPair v = rotate_neighbours<T>(load_pair_tail(x + 2 * i, 2 * n), load_tail(c + i, n),
                                           load_tail(s + i, n) * sign);
    store_pair_tail(y + 2 * i, v, 2 * n);
  }
}

// Writes around the cache: whole registers non-temporally, what precedes and follows them plainly.
void stream_bytes(char* to, const char* from, int64_t count) {
  constexpr int64_t kBytes = kWidth * 4;
  int64_t at = static_cast<int64_t>(-reinterpret_cast<uintptr_t>(to) % kBytes);
  at = at < count ? at : count;
  __builtin_memcpy(to, from, static_cast<size_t>(at));
  for (; at + kBytes <= count; at += kBytes) {
    stream(reinterpret_cast<float*>(to + at), load(reinterpret_cast<const float*>(from + at)));
  }
  __builtin_memcpy(to + at, from + at, static_cast<size_t>(count - at));
}

// A token's row of each table and its first channel.
struct Token {
  const float* c;
  const float* s;
  int64_t x, y;
};

inline Token token_at(const RopeArgs& args, int64_t n) {
  const int64_t b = n / args.length, t = n % args.length;
  const int64_t row = args.positions == nullptr
                          ? t
                          : args.positions[b * args.position_batch + t * args.position_token];
  return {args.cos.data + b * args.cos.batch + row * args.cos.row,
          args.sin.data + b * args.sin.batch + row * args.sin.row,
          b * args.x_batch + t * args.x_token, b * args.y_batch + t * args.y_token};
}

template <bool kInterleaved, class T>
inline void rotate_head(const RopeArgs& args, const Token& token, const T* x, T* y, VecF sign) {
  if constexpr (kInterleaved) {
    rotate_interleaved(y, x, token.c, token.s, sign, args.pairs);
  } else {
    rotate_halves(y, x, token.c, token.s, sign, args.pairs);
  }
  const int64_t rotated = 2 * args.pairs;
  if (rotated < args.head_dim && x != y) {
    __builtin_memcpy(y + rotated, x + rotated,
                     static_cast<size_t>(args.head_dim - rotated) * sizeof(T));
  }
}

template <bool kInterleaved, class T>
void rotate_tokens(const RopeArgs& args, int64_t begin, int64_t end) {
  const VecF sign = broadcast(args.inverse ? -1.0f : 1.0f);
  for (int64_t n = begin; n < end; ++n) {
    const Token token = token_at(args, n);
    const T* x = static_cast<const T*>(args.x) + token.x;
    T* y = static_cast<T*>(args.y) + token.y;
    for (int64_t h = 0; h < args.heads; ++h) {
      rotate_head<kInterleaved>(args, token, x + h * args.x_head, y + h * args.y_head, sign);
    }
  }
}

// y is packed: heads gather in a buffer and leave it in whole registers, whatever D is.
template <bool kInterleaved, class T>
void stream_tokens(const RopeArgs& args, int64_t begin, int64_t end) {
  alignas(64) char stage[kStageBytes];
  const int64_t head_bytes = args.head_dim * static_cast<int64_t>(sizeof(T));
  const VecF sign = broadcast(args.inverse ? -1.0f : 1.0f);
  char* out = static_cast<char*>(args.y) + begin * args.heads * head_bytes;
  int64_t filled = 0;
  for (int64_t n = begin; n < end; ++n) {
    const Token token = token_at(args, n);
    const T* x = static_cast<const T*>(args.x) + token.x;
    for (int64_t h = 0; h < args.heads; ++h) {
      rotate_head<kInterleaved>(args, token, x + h * args.x_head,
                                reinterpret_cast<T*>(stage + filled), sign);
      filled += head_bytes;
      if (filled + head_bytes <= kStageBytes) continue;
      stream_bytes(out, stage, filled);
      out += filled;
      filled = 0;
    }
  }
  stream_bytes(out, stage, filled);
  stream_fence();
}

bool may_stream(const RopeArgs& args) {
  const bool is_packed = args.y_head == args.head_dim && args.y_token == args.heads * args.y_head &&
                         args.y_batch == args.length * args.y_token;
  const int64_t head_bytes = args.head_dim * element_size(args.dtype);
  return args.x != args.y && is_packed && head_bytes <= kStageBytes &&
         streams_output(args.batch * args.length * args.heads * head_bytes);
}

template <bool kInterleaved, class T>
void run(const RopeArgs& args, const ParallelFor& parallel_for) {
  const bool streams = may_stream(args);
  const auto tokens = [&](int64_t begin, int64_t end) {
    if (streams) {
      stream_tokens<kInterleaved, T>(args, begin, end);
    } else {
      rotate_tokens<kInterleaved, T>(args, begin, end);
    }
  };
  parallel_for(0, args.batch * args.length, grain_rows(args.heads * args.head_dim), tokens);
}

template <class T>
void run_layout(const RopeArgs& args, const ParallelFor& parallel_for) {
  if (args.interleaved) return run<true, T>(args, parallel_for);
  run<false, T>(args, parallel_for);
}

}  // namespace

void rope(const RopeArgs& args, const ParallelFor& parallel_for) {
  switch (args.dtype) {
    case DType::kFloat32:
      return run_layout<float>(args, parallel_for);
    case DType::kBFloat16:
      return run_layout<BFloat16>(args, parallel_for);
    default:
      return run_layout<Float16>(args, parallel_for);
  }
}

}  // namespace llmcore::cpu::LLMCORE_ISA
