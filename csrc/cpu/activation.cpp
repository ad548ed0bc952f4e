// See ops/activation.h.
//
// Ladder: `bench_activation --threads 1` of benchmarks/cpp on an AMD EPYC (Zen 4, 32 MiB L3,
// avx512_bf16) that other builds shared: one thread's CPU time, % of a copy of as many bytes in the
// same rounds. One thread copies 27-30 GB/s; shares with two threads are in the performance log.
//   1. functions left to the inliner: gelu backward bfloat16 37 %, a call spilled every register
//   2. flat loops; bfloat16 on functions exact to 2^-15: gelu backward bfloat16 53 %
//   3. the next row of a fused projection fetched ahead: swiglu forward float32 6000x1364
//      65 -> 76-78 %, bfloat16 43 -> 51-53 %
//   4. gelu by tables of polynomials that registers hold (AVX-512; gaussian_tables.h): forward
//      float32 9.5 -> 6.2 ms, bfloat16 11.2 -> 9.7 ms, backward float32 10.1 -> 8.2 ms;
//      geglu forward float32 9.9 -> 6.9 ms, bfloat16 13.2 -> 10.8 ms            <- this version
//        64 MiB a tensor   float32 forward, backward    bfloat16 forward, backward
//        swiglu            106-129 %, 102-118 %          79-95 %, 80-83 %
//        geglu              93 %,     90 %               60 %,    61 %
//        geglu tanh        103-109 %, 103-105 %          70-74 %, 70 %
//        gelu               70-72 %,  77-82 %            46-47 %, 53-55 %
//        gelu tanh          66-68 %,  82-88 %            51 %,    51 %
//        relu2             100-106 %, 99-114 %           90 %,    100 %
// Bound: memory for relu2 and float32 swiglu; else arithmetic: 512x384, in the cache, takes gelu
// forward 21 cycles a register in float32 (33 before the tables), 15 in bfloat16 (19 before). Did
// not help: a reciprocal estimate in place of the quotient; Estrin's scheme in place of Horner's;
// tables for the tanh form (bfloat16 forward 13 cycles without, 15 with) and for the bfloat16
// backward (21 both ways).
#include "ops/activation.h"

#include "cpu/activation_functions.h"
#include "cpu/isa_variant.h"
#include "cpu/tuning.h"
#include "cpu/vec_pair.h"

namespace llmcore::cpu::LLMCORE_ISA {

namespace {

constexpr int64_t kStep = 2 * kWidth;  // elements of a VecPair
constexpr int64_t kBlock = 2048;       // elements that one task takes at least, of packed tensors

inline VecPair times(VecPair v, VecPair w) {
  return {v.a * w.a, v.b * w.b};
}

// Elements before the first that a register may be streamed to.
template <class T>
int64_t misalignment(const T* p) {
  constexpr uintptr_t kBytes = kWidth * 4;
  return static_cast<int64_t>(-reinterpret_cast<uintptr_t>(p) % kBytes / sizeof(T));
}

// Calls `part(i, n)` for n < kStep elements before and after the whole steps, `step(i)` for those.
template <class Part, class Step>
inline void for_steps(int64_t before, int64_t count, const Part& part, const Step& step) {
  int64_t i = before < count ? before : count;
  if (i > 0) part(0, i);
  for (; i + kStep <= count; i += kStep) step(i);
  if (i < count) part(i, count - i);
}

// One row's inputs. `next` is its distance from the next row, 0 if there is none to fetch.
template <class T>
struct Row {
  const T* data;
  int64_t next;
};

// Asks for what the next row has where this one has x[i]: rows of a few KiB end before the
// machine's prefetcher runs ahead.
template <class T>
inline void fetch_ahead(const Row<T>& x, int64_t i) {
  if (x.next == 0) return;
  constexpr int64_t kLines = (kStep * static_cast<int64_t>(sizeof(T)) + 63) / 64;
  const char* ahead = reinterpret_cast<const char*>(x.data + x.next + i);
#pragma GCC unroll 2
  for (int64_t line = 0; line < kLines; ++line) __builtin_prefetch(ahead + 64 * line, 0, 2);
}

// Flat: a call inside the loop would spill every register.
template <class F, bool kGated, class T>
__attribute__((flatten)) void forward_span(T* y, Row<T> x, Row<T> up, int64_t count, bool streams) {
  const auto value = [](VecPair v) { return VecPair{F::value(v.a), F::value(v.b)}; };
  const auto part = [&](int64_t i, int64_t n) __attribute__((noinline)) {
    VecPair v = value(load_pair_tail(x.data + i, n));
    if constexpr (kGated) v = times(v, load_pair_tail(up.data + i, n));
    store_pair_tail(y + i, v, n);
  };
  const auto step = [&](int64_t i) {
    fetch_ahead(x, i);
    VecPair v = value(load_pair(x.data + i));
    if constexpr (kGated) {
      fetch_ahead(up, i);
      v = times(v, load_pair(up.data + i));
    }
    if (streams) {
      stream_pair(y + i, v);
    } else {
      store_pair(y + i, v);
    }
  };
  for_steps(streams ? misalignment(y) : 0, count, part, step);
}

struct Gradients {
  VecPair dx;
  VecPair dup;
};

template <class F, bool kGated>
inline Gradients gradients(VecPair dy, VecPair x, VecPair up) {
  const ValueAndSlope a = F::both(x.a), b = F::both(x.b);
  const VecPair dx = times(dy, {a.slope, b.slope});
  if constexpr (!kGated) return {dx, dx};
  return {times(dx, up), times(dy, {a.value, b.value})};
}

template <class F, bool kGated, class T>
__attribute__((flatten)) void backward_span(T* dx, T* dup, Row<T> dy, Row<T> x, Row<T> up,
                                            int64_t count, bool streams) {
  const auto part = [&](int64_t i, int64_t n) __attribute__((noinline)) {
    VecPair gate{};
    if constexpr (kGated) gate = load_pair_tail(up.data + i, n);
    const Gradients g =
        gradients<F, kGated>(load_pair_tail(dy.data + i, n), load_pair_tail(x.data + i, n), gate);
    store_pair_tail(dx + i, g.dx, n);
    if constexpr (kGated) store_pair_tail(dup + i, g.dup, n);
  };
  const auto step = [&](int64_t i) {
    fetch_ahead(dy, i);
    fetch_ahead(x, i);
    VecPair gate{};
    if constexpr (kGated) {
      fetch_ahead(up, i);
      gate = load_pair(up.data + i);
    }
    const Gradients g = gradients<F, kGated>(load_pair(dy.data + i), load_pair(x.data + i), gate);
    if (streams) {
      stream_pair(dx + i, g.dx);
      if constexpr (kGated) stream_pair(dup + i, g.dup);
    } else {
      store_pair(dx + i, g.dx);
      if constexpr (kGated) store_pair(dup + i, g.dup);
    }
  };
  for_steps(streams ? misalignment(dx) : 0, count, part, step);
}

// Calls `span(row, first, count)` in parallel: packed tensors are one row, cut in blocks.
template <class Span>
void for_spans(int64_t rows, int64_t cols, bool packed, const ParallelFor& parallel_for,
               const Span& span) {
  if (packed) {
    const int64_t total = rows * cols, blocks = (total + kBlock - 1) / kBlock;
    parallel_for(0, blocks, grain_rows(kBlock), [&](int64_t begin, int64_t end) {
      const int64_t last = end * kBlock < total ? end * kBlock : total;
      span(0, begin * kBlock, last - begin * kBlock);
      stream_fence();
    });
  } else {
    parallel_for(0, rows, grain_rows(cols), [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row) span(row, 0, cols);
      stream_fence();
    });
  }
}

// Rows longer than this keep the machine's prefetcher busy long enough.
constexpr int64_t kLongRowBytes = 32768;

template <class T, class Args>
Row<T> row_of(const ActivationInput& input, const Args& args, int64_t row, int64_t first) {
  const bool fetches = input.row != args.cols && row + 1 < args.rows &&
                       args.cols * static_cast<int64_t>(sizeof(T)) < kLongRowBytes;
  return {static_cast<const T*>(input.data) + row * input.row + first, fetches ? input.row : 0};
}

template <class F, bool kGated, class T>
void forward(const ActivationArgs& args, const ParallelFor& parallel_for) {
  const bool streams = streams_output(args.rows * args.cols * element_size(args.dtype));
  const bool packed = args.x.row == args.cols && (!kGated || args.up.row == args.cols);
  for_spans(args.rows, args.cols, packed, parallel_for,
            [&](int64_t row, int64_t first, int64_t count) {
              T* y = static_cast<T*>(args.y) + row * args.cols + first;
              const Row<T> up = kGated ? row_of<T>(args.up, args, row, first) : Row<T>{};
              forward_span<F, kGated>(y, row_of<T>(args.x, args, row, first), up, count, streams);
            });
}

template <class F, bool kGated, class T>
void backward(const ActivationBackwardArgs& args, const ParallelFor& parallel_for) {
  const bool same_alignment = !kGated || misalignment(static_cast<const T*>(args.dx)) ==
                                             misalignment(static_cast<const T*>(args.dup));
  const bool streams =
      same_alignment && streams_output(args.rows * args.cols * element_size(args.dtype));
  const bool packed =
      args.x.row == args.cols && args.dy.row == args.cols && (!kGated || args.up.row == args.cols);
  for_spans(args.rows, args.cols, packed, parallel_for,
            [&](int64_t row, int64_t first, int64_t count) {
              const int64_t at = row * args.cols + first;
              T* dup = kGated ? static_cast<T*>(args.dup) + at : nullptr;
              const Row<T> up = kGated ? row_of<T>(args.up, args, row, first) : Row<T>{};
              backward_span<F, kGated>(static_cast<T*>(args.dx) + at, dup,
                                       row_of<T>(args.dy, args, row, first),
                                       row_of<T>(args.x, args, row, first), up, count, streams);
            });
}

template <class F, class T>
void run(const ActivationArgs& args, const ParallelFor& parallel_for) {
  if (args.up.data != nullptr) return forward<F, true, T>(args, parallel_for);
  forward<F, false, T>(args, parallel_for);
}
template <class F, class T>
void run(const ActivationBackwardArgs& args, const ParallelFor& parallel_for) {
  if (args.up.data != nullptr) return backward<F, true, T>(args, parallel_for);
  backward<F, false, T>(args, parallel_for);
}

template <class T, class Args>
void run_function(const Args& args, const ParallelFor& parallel_for) {
  switch (args.function) {
    case Activation::kSilu:
      return run<Silu<T>, T>(args, parallel_for);
    case Activation::kGelu:
      return run<Gelu<T>, T>(args, parallel_for);
    case Activation::kGeluTanh:
      return run<GeluTanh<T>, T>(args, parallel_for);
    default:
      return run<Relu2<T>, T>(args, parallel_for);
  }
}

template <class Args>
void run_dtype(const Args& args, const ParallelFor& parallel_for) {
  switch (args.dtype) {
    case DType::kFloat32:
      return run_function<float>(args, parallel_for);
    case DType::kBFloat16:
      return run_function<BFloat16>(args, parallel_for);
    default:
      return run_function<Float16>(args, parallel_for);
  }
}

}  // namespace

void activation(const ActivationArgs& args, const ParallelFor& parallel_for) {
  run_dtype(args, parallel_for);
}

void activation_backward(const ActivationBackwardArgs& args, const ParallelFor& parallel_for) {
  run_dtype(args, parallel_for);
}

}  // namespace llmcore::cpu::LLMCORE_ISA
