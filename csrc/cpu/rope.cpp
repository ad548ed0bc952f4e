// See ops/rope.h.
//
// Ladder: `bench_rope --threads 1` of benchmarks/cpp on an AMD EPYC (Zen 4, 32 MiB L3,
// avx512_bf16) that other builds shared: one thread's CPU time, % of a copy of as many bytes in the
// same rounds. One thread copies 27-30 GB/s, nearly what the machine does.
//   1. plain stores: 2x2048x32x128 float32 40-50 %, each line of the output is read first
//   2. 16 KiB staged, then streamed: not measured alone
//   3. whole registers streamed as they are made; other widths through a stage of two buffers, of
//      which one waits: a load that spans two recent stores stalls                <- this version
//        2x2048x32x128  float32 62-81 %, bfloat16 88-91 %      in place 127-155 %
//        4x1000x32x80   float32 63-86 %, bfloat16 50-69 %      in place 102-129 %
//        16x256, 64 rotated: float32 71-82 %, bfloat16 77-91 %
//      In place, D = 80, bfloat16: 46 % with masked stores of the last part of a register, 118 %
//      with a last register that overlaps the one before.
// Bound: memory at whole registers; for D = 80 the stage's second trip through the cache. Two
// threads were not measured: the machine was never quiet.
#include "ops/rope.h"

#include "cpu/isa_variant.h"
#include "cpu/tuning.h"
#include "cpu/vec_math.h"
#include "cpu/vec_pair.h"

namespace llmcore::cpu::LLMCORE_ISA {

namespace {

constexpr int64_t kStageBytes = 4096;  // of a head at most
constexpr int64_t kFlushBytes = 2048;  // longer bursts of writes would keep the reads waiting

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

// Pairs i .. i + kWidth - 1 of a head, or the first n of them, as one VecPair of all a and all b.
template <bool kInterleaved, class T>
struct Layout {  // (i, i + pairs)
  static VecPair get(const T* x, int64_t i, int64_t pairs) {
    return {load(x + i), load(x + pairs + i)};
  }
  static void put(T* y, int64_t i, int64_t pairs, VecPair v) {
    store(y + i, v.a);
    store(y + pairs + i, v.b);
  }
  static void put_around_cache(T* y, int64_t i, int64_t pairs, VecPair v) {
    stream(y + i, v.a);
    stream(y + pairs + i, v.b);
  }
  static VecPair get_tail(const T* x, int64_t i, int64_t pairs, int64_t n) {
    return {load_tail(x + i, n), load_tail(x + pairs + i, n)};
  }
  static void put_tail(T* y, int64_t i, int64_t pairs, VecPair v, int64_t n) {
    store_tail(y + i, v.a, n);
    store_tail(y + pairs + i, v.b, n);
  }
};

template <class T>
struct Layout<true, T> {  // (2 i, 2 i + 1)
  static VecPair get(const T* x, int64_t i, int64_t) { return deinterleave(load_pair(x + 2 * i)); }
  static void put(T* y, int64_t i, int64_t, VecPair v) { store_pair(y + 2 * i, interleave(v)); }
  static void put_around_cache(T* y, int64_t i, int64_t, VecPair v) {
    stream_pair(y + 2 * i, interleave(v));
  }
  static VecPair get_tail(const T* x, int64_t i, int64_t, int64_t n) {
    return deinterleave(load_pair_tail(x + 2 * i, 2 * n));
  }
  static void put_tail(T* y, int64_t i, int64_t, VecPair v, int64_t n) {
    store_pair_tail(y + 2 * i, interleave(v), 2 * n);
  }
};

template <>
struct Layout<true, BFloat16> {  // load_pair splits evens from odds
  static VecPair get(const BFloat16* x, int64_t i, int64_t) { return load_pair(x + 2 * i); }
  static void put(BFloat16* y, int64_t i, int64_t, VecPair v) { store_pair(y + 2 * i, v); }
  static void put_around_cache(BFloat16* y, int64_t i, int64_t, VecPair v) {
    stream_pair(y + 2 * i, v);
  }
  static VecPair get_tail(const BFloat16* x, int64_t i, int64_t, int64_t n) {
    return load_pair_tail(x + 2 * i, 2 * n);
  }
  static void put_tail(BFloat16* y, int64_t i, int64_t, VecPair v, int64_t n) {
    store_pair_tail(y + 2 * i, v, 2 * n);
  }
};

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

// Copies the channels that are not rotated. y may be x.
template <class T>
inline void copy_rest(const RopeArgs& args, T* y, const T* x) {
  const int64_t rotated = 2 * args.pairs;
  if (rotated == args.head_dim || x == y) return;
  __builtin_memcpy(y + rotated, x + rotated,
                   static_cast<size_t>(args.head_dim - rotated) * sizeof(T));
}

// One head after another: memory is walked in its order. The last register may overlap the one
// before it, which costs less than a part of one; in place, so it is read before that is written.
template <bool kInterleaved, class T>
inline void rotate_head(const RopeArgs& args, const Token& token, T* y, const T* x, VecF sign) {
  using Pairs = Layout<kInterleaved, T>;
  const int64_t pairs = args.pairs, last = pairs - kWidth;
  if (last < 0) {
    const VecPair v = Pairs::get_tail(x, 0, pairs, pairs);
    const VecF c = load_tail(token.c, pairs), s = load_tail(token.s, pairs) * sign;
    Pairs::put_tail(y, 0, pairs, rotate(v, c, s), pairs);
    return copy_rest(args, y, x);
  }
  const VecPair end =
      rotate(Pairs::get(x, last, pairs), load(token.c + last), load(token.s + last) * sign);
  for (int64_t i = 0; i < last; i += kWidth) {
    const VecPair v = Pairs::get(x, i, pairs);
    Pairs::put(y, i, pairs, rotate(v, load(token.c + i), load(token.s + i) * sign));
  }
  Pairs::put(y, last, pairs, end);
  copy_rest(args, y, x);
}

// One register of the tables after another, over all heads: fewer loads where memory is a cache.
template <bool kInterleaved, class T>
inline void rotate_heads(const RopeArgs& args, const Token& token, T* y, const T* x, VecF sign) {
  using Pairs = Layout<kInterleaved, T>;
  const int64_t pairs = args.pairs;
  int64_t i = 0;
  for (; i + kWidth <= pairs; i += kWidth) {
    const VecF c = load(token.c + i), s = load(token.s + i) * sign;
    for (int64_t h = 0; h < args.heads; ++h) {
      const VecPair v = Pairs::get(x + h * args.x_head, i, pairs);
      Pairs::put(y + h * args.y_head, i, pairs, rotate(v, c, s));
    }
  }
  if (const int64_t n = pairs - i; n > 0) {
    const VecF c = load_tail(token.c + i, n), s = load_tail(token.s + i, n) * sign;
    for (int64_t h = 0; h < args.heads; ++h) {
      const VecPair v = Pairs::get_tail(x + h * args.x_head, i, pairs, n);
      Pairs::put_tail(y + h * args.y_head, i, pairs, rotate(v, c, s), n);
    }
  }
  for (int64_t h = 0; h < args.heads; ++h)
    copy_rest(args, y + h * args.y_head, x + h * args.x_head);
}

// As rotate_head, around the cache: for whole registers at aligned addresses and nothing to copy.
template <bool kInterleaved, class T>
inline void stream_head(const RopeArgs& args, const Token& token, T* y, const T* x, VecF sign) {
  using Pairs = Layout<kInterleaved, T>;
  for (int64_t i = 0; i < args.pairs; i += kWidth) {
    const VecPair v = Pairs::get(x, i, args.pairs);
    Pairs::put_around_cache(y, i, args.pairs,
                            rotate(v, load(token.c + i), load(token.s + i) * sign));
  }
}

template <bool kInterleaved, class T>
void rotate_tokens(const RopeArgs& args, int64_t begin, int64_t end, bool in_cache) {
  const VecF sign = broadcast(args.inverse ? -1.0f : 1.0f);
  for (int64_t n = begin; n < end; ++n) {
    const Token token = token_at(args, n);
    const T* x = static_cast<const T*>(args.x) + token.x;
    T* y = static_cast<T*>(args.y) + token.y;
    if (in_cache && (args.pairs % kWidth == 0 || args.pairs < kWidth)) {
      rotate_heads<kInterleaved>(args, token, y, x, sign);
      continue;
    }
    for (int64_t h = 0; h < args.heads; ++h) {
      rotate_head<kInterleaved>(args, token, y + h * args.y_head, x + h * args.x_head, sign);
    }
  }
}

template <bool kInterleaved, class T>
void stream_tokens(const RopeArgs& args, int64_t begin, int64_t end) {
  const VecF sign = broadcast(args.inverse ? -1.0f : 1.0f);
  for (int64_t n = begin; n < end; ++n) {
    const Token token = token_at(args, n);
    const T* x = static_cast<const T*>(args.x) + token.x;
    T* y = static_cast<T*>(args.y) + token.y;
    for (int64_t h = 0; h < args.heads; ++h) {
      stream_head<kInterleaved>(args, token, y + h * args.y_head, x + h * args.x_head, sign);
    }
  }
  stream_fence();
}

// Bytes on their way to packed memory around the cache, in whole aligned registers. Of two buffers
// one fills while the other waits to leave: what was just stored would stall a load that spans two
// of the stores.
class Stage {
 public:
  explicit Stage(char* to) : out_(to) {}
  // Where the next `count` bytes go; at most kStageBytes.
  char* next(int64_t count) {
    Buffer& full = buffers_[current_];
    if (full.filled >= kFlushBytes) {
      Buffer& other = buffers_[1 - current_];
      leave(other);
      other.filled =
          static_cast<int64_t>(reinterpret_cast<uintptr_t>(out_ + full.filled) % kRegister);
      full.filled -= other.filled;
      __builtin_memcpy(other.bytes, full.bytes + full.filled, kRegister);
      current_ = 1 - current_;
    }
    Buffer& open = buffers_[current_];
    char* to = open.bytes + open.filled;
    open.filled += count;
    return to;
  }
  void finish() {
    leave(buffers_[1 - current_]);
    leave(buffers_[current_]);
    stream_fence();
  }

 private:
  static constexpr int64_t kRegister = kWidth * 4;
  struct Buffer {
    alignas(64) char bytes[kStageBytes + kFlushBytes + 64] = {};
    int64_t filled = 0;
  };

  void leave(Buffer& buffer) {
    int64_t at = static_cast<int64_t>(-reinterpret_cast<uintptr_t>(out_) % kRegister);
    at = at < buffer.filled ? at : buffer.filled;
    __builtin_memcpy(out_, buffer.bytes, static_cast<size_t>(at));
    for (; at + kRegister <= buffer.filled; at += kRegister) {
      stream(reinterpret_cast<float*>(out_ + at),
             load(reinterpret_cast<const float*>(buffer.bytes + at)));
    }
    __builtin_memcpy(out_ + at, buffer.bytes + at, static_cast<size_t>(buffer.filled - at));
    out_ += buffer.filled;
    buffer.filled = 0;
  }

  Buffer buffers_[2];
  int current_ = 0;
  char* out_;
};

// As stream_tokens for any D and alignment, over a packed y.
template <bool kInterleaved, class T>
void stage_tokens(const RopeArgs& args, int64_t begin, int64_t end) {
  const int64_t head_bytes = args.head_dim * static_cast<int64_t>(sizeof(T));
  const VecF sign = broadcast(args.inverse ? -1.0f : 1.0f);
  Stage stage(static_cast<char*>(args.y) + begin * args.heads * head_bytes);
  for (int64_t n = begin; n < end; ++n) {
    const Token token = token_at(args, n);
    const T* x = static_cast<const T*>(args.x) + token.x;
    for (int64_t h = 0; h < args.heads; ++h) {
      T* y = reinterpret_cast<T*>(stage.next(head_bytes));
      rotate_head<kInterleaved>(args, token, y, x + h * args.x_head, sign);
    }
  }
  stage.finish();
}

bool is_packed(const RopeArgs& args) {
  return args.y_head == args.head_dim && args.y_token == args.heads * args.y_head &&
         args.y_batch == args.length * args.y_token;
}

bool is_whole_registers(const RopeArgs& args) {
  const auto bytes = static_cast<uintptr_t>(2 * kWidth * element_size(args.dtype));
  return args.pairs % kWidth == 0 && 2 * args.pairs == args.head_dim &&
         reinterpret_cast<uintptr_t>(args.y) % bytes == 0;
}

template <bool kInterleaved, class T>
void run(const RopeArgs& args, const ParallelFor& parallel_for) {
  const int64_t head_bytes = args.head_dim * static_cast<int64_t>(sizeof(T));
  const bool in_cache = !streams_output(args.batch * args.length * args.heads * head_bytes);
  const bool streams = !in_cache && args.x != args.y && is_packed(args);
  const bool is_whole = is_whole_registers(args);
  const auto tokens = [&](int64_t begin, int64_t end) {
    if (streams && is_whole) {
      stream_tokens<kInterleaved, T>(args, begin, end);
    } else if (streams && head_bytes <= kStageBytes) {
      stage_tokens<kInterleaved, T>(args, begin, end);
    } else {
      rotate_tokens<kInterleaved, T>(args, begin, end, in_cache);
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
