// See ops/attention.h.
//
// Work is cut into units: a strip of 64 to 256 keys of a (sequence, key/value head). A unit walks
// the tiles of 64 queries that keep any of its keys, recomputes their probabilities from q, k and
// lse, and adds to dk and dv, which it alone owns, and to the queries' dq, which units share. The
// shares of dq are added in the order of the strips: a unit waits for its turn at a tile. So no
// result depends on the number of threads, and dq needs no copy per thread. Units are taken in an
// order in which every unit waits only for units taken before it.
//
// Ladder: one thread by its CPU time on an AMD EPYC (Zen 4, 1 MiB L2, avx512_bf16) that others used
// too; causal, T = 2048 to 4096, GFLOP/s over kept pairs at 6 D + 4 Dv a pair. FMA peak 114 to 117,
// dot peak 230 to 236; the better of a few runs.
//                                                          float32         bfloat16
//                                       D                  64    128       64    128
//   1. units of 64 keys: q and dout packed for every block  93     94      162    171
//      the products run within 10 % of the peak (dk and dv of bfloat16 within 20 %: few steps
//      between a load and a store of the sums); packing takes 5 % of the time and more at D = 128,
//      adding to dq 3 to 6 %, exp and its surroundings 5 %
//   2. units of up to 256 keys                             102    102      183    192  (this one)
// 2^x in place of e^x gains 1 % at D = 32 and nothing beyond, and errs more. A bias costs
// a quarter: 65 at T = 512, D = 64, where 88 are reached without it; 67 to 75 without its gradient,
// so most of it is in the scores.
#include "ops/attention_backward.h"

#include "cpu/attention_gradient_block.h"
#include "cpu/attention_gradient_problem.h"
#include "cpu/attention_gradient_tiles.h"
#include "cpu/attention_mask.h"
#include "cpu/attention_scratch.h"
#include "cpu/isa_variant.h"
#include "cpu/tuning.h"
#include "cpu/vec.h"

namespace llmcore::cpu::LLMCORE_ISA {

namespace gradient {

namespace {

// --- before the units: delta and turns -----------------------------------------------------------

template <class T>
float dot(const T* a, const T* b, int64_t width) {
  VecF sums[2] = {};
  int64_t d = 0;
  for (; d + 2 * kWidth <= width; d += 2 * kWidth) {
    sums[0] = fused_multiply_add(load(a + d), load(b + d), sums[0]);
    sums[1] = fused_multiply_add(load(a + d + kWidth), load(b + d + kWidth), sums[1]);
  }
  for (; d < width; d += kWidth) {
    sums[0] =
        fused_multiply_add(load_up_to(a + d, width - d), load_up_to(b + d, width - d), sums[0]);
  }
  return sum_lanes(sums[0] + sums[1]);
}

template <class T>
void prepare_tile(const Problem& problem, const Sequence& sequence, int64_t tile) {
  const AttentionArgs& forward = problem.forward;
  const Tile queries = query_tile(sequence, tile);
  const int64_t first = next_kept_strip(sequence, tile, 0);
  for (int64_t h = 0; h < forward.num_heads; ++h) {
    const int64_t row = sequence.first_row + h * sequence.row_stride + queries.begin;
    float* delta = problem.scratch + problem.at.delta + row;
    for (int64_t t = 0; t < queries.count; ++t) {
      const int64_t at = queries.begin + t;
      const int64_t from = sequence.query_at(problem.args.dout_strides, h, at);
      delta[t] =
          dot(static_cast<const T*>(problem.args.dout) + from,
              static_cast<const T*>(forward.out) + sequence.query_at(forward.out_strides, h, at),
              forward.value_dim);
      if (first < 0) {
        T* dq = static_cast<T*>(problem.args.dq);
        __builtin_memset(dq + sequence.query_at(problem.args.dq_strides, h, at), 0,
                         static_cast<size_t>(forward.head_dim) * sizeof(T));
      }
    }
    *turn_of(problem, sequence, h, tile) = static_cast<int32_t>(~first);
    if (problem.sums_deltas) clear(problem.scratch + problem.at.row_deltas + row, queries.count);
  }
}

// --- units ---------------------------------------------------------------------------------------

int64_t most_strips(const Problem& problem) {
  const int64_t batch = problem.forward.num_sequences;
  const bool packed = problem.forward.cu_seqlens_q != nullptr;
  int64_t most = 0;
  for (int64_t b = 0; b < (packed ? batch : at_most(batch, 1)); ++b) {
    most = at_least(most, sequence_of(problem, b).num_strips());
  }
  return most;
}

// Streams are (sequence, key/value head), or sets of them that share a bias gradient. As many of
// them as there are workers are processed at a time, strip by strip, so that workers seldom meet in
// one stream and a stream stays in the cache.
struct Units {
  int64_t head_streams, streams, strips;
  int64_t count() const { return streams * strips; }
};

Units units_of(const Problem& problem) {
  const int64_t batch_streams = problem.merges_batch ? 1 : problem.forward.num_sequences;
  const int64_t head_streams = problem.merges_heads ? 1 : problem.forward.num_kv_heads;
  return {head_streams, batch_streams * head_streams, most_strips(problem)};
}

template <class Math>
void run_unit(const Problem& problem, const Units& units, int64_t stream, int64_t strip,
              Worker& worker) {
  const AttentionArgs& forward = problem.forward;
  const int64_t batch = stream / units.head_streams, head = stream % units.head_streams;
  const int64_t batch_end = problem.merges_batch ? forward.num_sequences : batch + 1;
  const int64_t head_end = problem.merges_heads ? forward.num_kv_heads : head + 1;
  for (int64_t b = batch; b < batch_end; ++b) {
    const Sequence sequence = sequence_of(problem, b);
    if (strip >= sequence.num_strips()) continue;
    for (int64_t h = head; h < head_end; ++h) {
      process_strip<Math>(problem, sequence, h, strip, worker);
    }
  }
}

template <class Math>
void run_units(const Problem& problem, const ParallelFor& parallel_for) {
  const Units units = units_of(problem);
  if (units.count() == 0) return;
  const int64_t lanes = at_most(problem.args.num_threads, units.streams);
  auto* next = reinterpret_cast<int64_t*>(problem.scratch + problem.at.next_unit);
  *next = 0;
  const auto work = [&](int64_t index, int64_t) {
    Worker worker = worker_of<Math>(problem, index);
    for (;;) {
      const int64_t unit = __atomic_fetch_add(next, 1, __ATOMIC_RELAXED);
      if (unit >= units.count()) return;
      const int64_t first = unit / (lanes * units.strips) * lanes;
      const int64_t left = unit - first * units.strips;
      const int64_t together = at_most(lanes, units.streams - first);
      run_unit<Math>(problem, units, first + left % together, left / together, worker);
    }
  };
  parallel_for(0, at_most(problem.args.num_threads, units.count()), 1, work);
}

// --- after the units: sums over sequences, heads and tiles
// ----------------------------------------

// Sum over a row's keys of ds = delta times what the sink takes of the row, 0 without one.
double sink_share(float sink, const float* lse, const float* delta, int64_t count) {
  double sum = 0;
  for (int64_t t = 0; t < count; t += kWidth) {
    const VecF row_lse = load_up_to(lse + t, count - t);
    const VecF share = exp(sink - row_lse) * load_up_to(delta + t, count - t);
    sum += static_cast<double>(sum_lanes(row_lse == -__builtin_inff() ? VecF{} : share));
  }
  return sum;
}

// ... over queries [begin, end) of one (sequence, head).
double sink_share(const Problem& problem, const Sequence& sequence, int64_t head, int64_t begin,
                  int64_t end) {
  const AttentionArgs& forward = problem.forward;
  const int64_t row = sequence.first_row + head * sequence.row_stride + begin;
  const int64_t delta = problem.sums_deltas ? problem.at.row_deltas : problem.at.delta;
  const float sink = forward.sinks != nullptr ? forward.sinks[head] : -__builtin_inff();
  return sink_share(sink, forward.lse + row, problem.scratch + delta + row, end - begin);
}

void sum_sinks(const Problem& problem, const ParallelFor& parallel_for) {
  const AttentionArgs& forward = problem.forward;
  const int64_t grain = grain_rows(problem.at.rows);
  parallel_for(0, forward.num_heads, grain, [&](int64_t begin, int64_t end) {
    for (int64_t h = begin; h < end; ++h) {
      double sum = 0;
      for (int64_t b = 0; b < forward.num_sequences; ++b) {
        const Sequence sequence = sequence_of(problem, b);
        sum += sink_share(problem, sequence, h, 0, sequence.rules.num_queries);
      }
      problem.args.dsinks[h] = static_cast<float>(-sum);
    }
  });
}

// One element of a dbias of one key: over the axes of stride 0.
float sum_bias_rows(const Problem& problem, int64_t batch, int64_t head, int64_t query) {
  const AttentionBackwardArgs& args = problem.args;
  const AttentionArgs& forward = problem.forward;
  const int64_t batch_end = args.dbias_batch_stride == 0 ? forward.num_sequences : batch + 1;
  const int64_t head_end = args.dbias_head_stride == 0 ? forward.num_heads : head + 1;
  const int64_t query_end = args.dbias_query_stride == 0 ? forward.num_queries : query + 1;
  double sum = 0;
  for (int64_t b = batch; b < batch_end; ++b) {
    const Sequence sequence = sequence_of(problem, b);
    for (int64_t h = head; h < head_end; ++h) {
      sum += sink_share(problem, sequence, h, query, query_end);
    }
  }
  return static_cast<float>(sum);
}

// One element of a dbias of one query.
float sum_bias_keys(const Problem& problem, int64_t batch, int64_t head, int64_t key) {
  const AttentionBackwardArgs& args = problem.args;
  const AttentionArgs& forward = problem.forward;
  const int64_t batch_end = args.dbias_batch_stride == 0 ? forward.num_sequences : batch + 1;
  const int64_t head_end = args.dbias_head_stride == 0 ? forward.num_heads : head + 1;
  double sum = 0;
  for (int64_t b = batch; b < batch_end; ++b) {
    for (int64_t h = head; h < head_end; ++h) {
      sum += problem.scratch[problem.at.bias_keys +
                             (b * forward.num_heads + h) * problem.at.padded_keys + key];
    }
  }
  return static_cast<float>(sum);
}

void sum_bias(const Problem& problem, const ParallelFor& parallel_for) {
  const AttentionBackwardArgs& args = problem.args;
  const AttentionArgs& forward = problem.forward;
  const bool of_rows = problem.bias_sum == BiasSum::kRows;
  const int64_t batch = args.dbias_batch_stride == 0 ? 1 : forward.num_sequences;
  const int64_t heads = args.dbias_head_stride == 0 ? 1 : forward.num_heads;
  const int64_t rows = args.dbias_query_stride == 0 ? 1 : forward.num_queries;
  const int64_t length = of_rows ? rows : forward.num_keys;
  parallel_for(0, batch * heads * length, 256, [&](int64_t begin, int64_t end) {
    auto* dbias = static_cast<float*>(args.dbias);
    for (int64_t i = begin; i < end; ++i) {
      const int64_t b = i / (heads * length), h = i / length % heads, at = i % length;
      dbias[i] = of_rows ? sum_bias_rows(problem, b, h, at) : sum_bias_keys(problem, b, h, at);
    }
  });
}

void clear_bias(const Problem& problem, const ParallelFor& parallel_for) {
  const AttentionBackwardArgs& args = problem.args;
  const AttentionArgs& forward = problem.forward;
  const int64_t batch = args.dbias_batch_stride == 0 ? 1 : forward.num_sequences;
  const int64_t heads = args.dbias_head_stride == 0 ? 1 : forward.num_heads;
  const int64_t size = batch * heads * forward.num_queries * forward.num_keys;
  parallel_for(0, size, 65536, [&](int64_t begin, int64_t end) {
    clear(static_cast<float*>(args.dbias) + begin, end - begin);
  });
}

template <class Math>
void backward(const AttentionBackwardArgs& args, const ParallelFor& parallel_for) {
  using T = typename Math::Element;
  const Problem problem = problem_of(args);
  const AttentionArgs& forward = args.forward;
  if (problem.bias_sum == BiasSum::kElements) clear_bias(problem, parallel_for);
  const int64_t tiles = divide_up(forward.num_queries, kTile);
  const int64_t row_elements = forward.num_heads * forward.value_dim;
  parallel_for(0, forward.num_sequences * tiles, grain_rows(kTile * row_elements),
               [&](int64_t begin, int64_t end) {
                 for (int64_t i = begin; i < end; ++i) {
                   const Sequence sequence = sequence_of(problem, i / tiles);
                   if (i % tiles < sequence.num_tiles()) {
                     prepare_tile<T>(problem, sequence, i % tiles);
                   }
                 }
               });
  run_units<Math>(problem, parallel_for);
  if (args.dsinks != nullptr) sum_sinks(problem, parallel_for);
  if (problem.bias_sum == BiasSum::kRows || problem.bias_sum == BiasSum::kKeys) {
    sum_bias(problem, parallel_for);
  }
}

}  // namespace

}  // namespace gradient

void attention_backward(const AttentionBackwardArgs& args, const ParallelFor& parallel_for) {
  switch (args.forward.dtype) {
    case DType::kFloat32:
      return gradient::backward<gradient::FloatMath<float>>(args, parallel_for);
    case DType::kBFloat16:
#if defined(__AVX512BF16__)
      return gradient::backward<gradient::PairMath>(args, parallel_for);
#else
      return gradient::backward<gradient::FloatMath<BFloat16>>(args, parallel_for);
#endif
    default:
      return gradient::backward<gradient::FloatMath<Float16>>(args, parallel_for);
  }
}

}  // namespace llmcore::cpu::LLMCORE_ISA
