// See ops/attention.h.
//
// Work is cut into units: one block of 64 keys of a (sequence, key/value head). A unit walks the
// tiles of 64 queries that keep any of its keys, recomputes their probabilities from q, k and lse,
// and adds to dk and dv, which it alone owns, and to the queries' dq, which units share. The shares
// of dq are added in the order of the blocks: a unit waits for its turn at a tile. So no result
// depends on the number of threads, and dq needs no copy per thread. Units are taken in an order in
// which every unit waits only for units taken before it.
#include "ops/attention_backward.h"

#include <sched.h>

#include "cpu/attention_gradient_scores.h"
#include "cpu/attention_gradient_tiles.h"
#include "cpu/attention_mask.h"
#include "cpu/attention_scratch.h"
#include "cpu/isa_variant.h"
#include "cpu/tuning.h"
#include "cpu/vec.h"

namespace llmcore::cpu::LLMCORE_ISA {

namespace {

static_assert(kTile == kAttentionKeyBlock);

// Where the gradient of the bias is gathered.
enum class BiasSum { kNone, kElements, kRows, kKeys };

struct Problem {
  const AttentionBackwardArgs& args;
  const AttentionArgs& forward;
  AttentionScratch at;
  float* scratch;  // on a cache line
  BiasSum bias_sum;
  bool merges_batch, merges_heads;  // units that add to the same elements of dbias are one

  int64_t group() const { return forward.num_heads / forward.num_kv_heads; }
  int64_t max_blocks() const { return divide_up(forward.num_keys, kTile); }
};

BiasSum bias_sum_of(const AttentionBackwardArgs& args) {
  if (args.dbias == nullptr) return BiasSum::kNone;
  if (args.dbias_key_stride == 0) return BiasSum::kRows;
  return args.dbias_query_stride == 0 ? BiasSum::kKeys : BiasSum::kElements;
}

Problem problem_of(const AttentionBackwardArgs& args) {
  const auto address = reinterpret_cast<uintptr_t>(args.scratch);
  float* scratch = args.scratch + (64 - address % 64) % 64 / sizeof(float);
  const BiasSum sum = bias_sum_of(args);
  const bool elements = sum == BiasSum::kElements;
  return {args,
          args.forward,
          attention_scratch(args.forward, args.num_threads),
          scratch,
          sum,
          elements && args.dbias_batch_stride == 0,
          elements && args.dbias_head_stride == 0};
}

// --- one sequence --------------------------------------------------------------------------------

struct Sequence {
  int64_t index;
  PairRules rules;
  int64_t query_token, key_token;  // first tokens of a packed sequence, else 0
  int64_t batch;                   // index of an unpacked one, else 0
  int64_t first_row;               // of head 0 in lse and delta
  int64_t row_stride;              // from head to head there
  int64_t first_tile;              // of head 0 in what is kept per tile

  int64_t num_tiles() const { return divide_up(rules.num_queries, kTile); }
  int64_t num_blocks() const { return divide_up(rules.num_keys, kTile); }

  int64_t query_at(const HeadStrides& strides, int64_t head, int64_t query) const {
    return batch * strides.batch + head * strides.head + (query_token + query) * strides.token;
  }
  int64_t key_at(const HeadStrides& strides, int64_t head, int64_t key) const {
    return batch * strides.batch + head * strides.head + (key_token + key) * strides.token;
  }
};

Sequence sequence_of(const Problem& problem, int64_t index) {
  const AttentionArgs& forward = problem.forward;
  const PairRules rules = pair_rules(forward, index);
  const int64_t tile = attention_first_tile(forward, index);
  if (forward.cu_seqlens_q != nullptr) {
    const int64_t token = forward.cu_seqlens_q[index];
    return {index, rules, token, forward.cu_seqlens_k[index], 0, token, problem.at.rows, tile};
  }
  const int64_t row = index * forward.num_heads * forward.num_queries;
  return {index, rules, 0, 0, index, row, forward.num_queries, tile};
}

struct Tile {
  int64_t begin, count;
};

Tile query_tile(const Sequence& sequence, int64_t tile) {
  const int64_t begin = tile * kTile;
  return {begin, at_most(kTile, sequence.rules.num_queries - begin)};
}

Tile key_block(const Sequence& sequence, int64_t block) {
  const int64_t begin = block * kTile;
  return {begin, at_most(kTile, sequence.rules.num_keys - begin)};
}

BlockKind kind_at(const Sequence& sequence, int64_t tile, int64_t block) {
  const Tile queries = query_tile(sequence, tile), keys = key_block(sequence, block);
  return block_kind(sequence.rules, queries.begin, queries.begin + queries.count, keys.begin,
                    keys.begin + keys.count);
}

// First block from `block` on of which the tile keeps anything, or -1.
int64_t next_kept_block(const Sequence& sequence, int64_t tile, int64_t block) {
  const Tile queries = query_tile(sequence, tile);
  int64_t end = sequence.num_blocks();
  if (sequence.rules.causal) {
    const int64_t last = position_of(sequence.rules, queries.begin + queries.count - 1);
    end = at_most(end, divide_up(at_least(last + 1, sequence.rules.prefix_len), kTile));
  }
  for (; block < end; ++block) {
    if (kind_at(sequence, tile, block) != BlockKind::kSkip) return block;
  }
  return -1;
}

// --- turns ---------------------------------------------------------------------------------------
// Per (head, tile): the block whose share of dq comes next; ~block if it is the first one.

int32_t* turn_of(const Problem& problem, const Sequence& sequence, int64_t head, int64_t tile) {
  float* first = problem.scratch + problem.at.next_blocks;
  return reinterpret_cast<int32_t*>(first) + head * problem.at.tiles + sequence.first_tile + tile;
}

void pause_thread(int64_t waited) {
#if defined(__SSE2__)
  _mm_pause();
#endif
  if (waited % 256 == 255) sched_yield();
}

// Returns whether no share has been added yet.
bool wait_for_turn(const int32_t* turn, int64_t block) {
  for (int64_t waited = 0;; ++waited) {
    const int32_t now = __atomic_load_n(turn, __ATOMIC_ACQUIRE);
    if (now == block) return false;
    if (now == ~block) return true;
    pause_thread(waited);
  }
}

// --- before the units: delta, the sinks' gradient, turns -----------------------------------------

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

float sink_share(float sink, const float* lse, const float* delta, int64_t count) {
  VecF sum = {};
  for (int64_t t = 0; t < count; t += kWidth) {
    const VecF row_lse = load_up_to(lse + t, count - t);
    const VecF share = exp(sink - row_lse) * load_up_to(delta + t, count - t);
    sum += row_lse == -__builtin_inff() ? VecF{} : share;
  }
  return sum_lanes(sum);
}

template <class T>
void prepare_tile(const Problem& problem, const Sequence& sequence, int64_t tile) {
  const AttentionArgs& forward = problem.forward;
  const Tile queries = query_tile(sequence, tile);
  const int64_t first = next_kept_block(sequence, tile, 0);
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
    if (forward.sinks != nullptr) {
      problem.scratch[problem.at.sinks + h * problem.at.tiles + sequence.first_tile + tile] =
          sink_share(forward.sinks[h], forward.lse + row, delta, queries.count);
    }
    if (problem.bias_sum == BiasSum::kRows) {
      __builtin_memset(problem.scratch + problem.at.bias_rows + row, 0,
                       static_cast<size_t>(queries.count) * sizeof(float));
    }
  }
}

// --- one block of keys ---------------------------------------------------------------------------

// What one thread works with; sizes in attention_scratch.cpp.
struct Worker {
  float *keys_transposed, *values_transposed, *keys;
  float *dk, *dv, *dq;
  float *q_left, *q_right, *dout_left, *dout_right;
  ScoreTiles scores;
  float *products, *dproducts;
  float* row_sums;
};

template <class Math>
Worker worker_of(const Problem& problem, int64_t index) {
  const int64_t width = kTile * problem.at.width, value_width = kTile * problem.at.value_width;
  float* next = problem.scratch + problem.at.workers + index * problem.at.worker_size;
  const auto take = [&next](int64_t floats) {
    float* begin = next;
    next += floats;
    return begin;
  };
  Worker worker{};
  worker.keys_transposed = take(width);
  worker.values_transposed = take(value_width);
  worker.keys = take(width);
  worker.dk = take(width);
  worker.dv = take(value_width);
  worker.dq = take(width);
  worker.q_left = take(width);
  worker.q_right = Math::kDepth == 1 ? worker.q_left : take(width);
  worker.dout_left = take(value_width);
  worker.dout_right = Math::kDepth == 1 ? worker.dout_left : take(value_width);
  worker.scores.weights_for_keys = take(kTile * kTile);
  worker.scores.gradients_for_keys = take(kTile * kTile);
  worker.scores.gradients_for_queries =
      Math::kOneScoreForm ? worker.scores.gradients_for_keys : take(kTile * kTile);
  worker.products = take(kMicroRows * kTile);
  worker.dproducts = take(kMicroRows * kTile);
  worker.row_sums = take(kTile);
  return worker;
}

// A key s and a query t of the tile, counted from its corner, are kept only if
// low <= s - t <= high: what causality and the window say, so that products can skip the rest.
struct Band {
  int64_t low, high;
};

Band band_of(const PairRules& rules, int64_t query_begin, int64_t key_begin) {
  const int64_t shift = position_of(rules, query_begin) - key_begin;
  Band band{-kTile, kTile};
  if (rules.causal && rules.prefix_len <= key_begin) band.high = shift;
  if (rules.window > 0) {
    band.low = at_least(band.low, shift - rules.window + 1);
    band.high = at_most(band.high, shift + rules.window - 1);
  }
  return {at_least(at_most(band.low, kTile), -kTile), at_least(at_most(band.high, kTile), -kTile)};
}

// A tile of queries against a block of keys.
struct Pairs {
  const Sequence* sequence;
  int64_t tile, block;
  Tile queries, keys;
  Band band;
  int64_t next_block;  // of the tile, or -1
  uint64_t kept[kTile];

  Span keys_of(int64_t query_begin, int64_t query_end) const {
    const int64_t begin = at_least(0, query_begin + band.low);
    const int64_t end = at_most(keys.count, query_end + band.high);
    return {begin, at_least(begin, end)};
  }
  Span queries_of(int64_t key_begin, int64_t key_end) const {
    const int64_t begin = at_least(0, key_begin - band.high);
    const int64_t end = at_most(queries.count, key_end - band.low);
    return {begin, at_least(begin, end)};
  }
};

void set_pairs(Pairs& pairs, const Sequence& sequence, int64_t tile, int64_t block,
               BlockKind kind) {
  pairs.sequence = &sequence;
  pairs.tile = tile;
  pairs.block = block;
  pairs.queries = query_tile(sequence, tile);
  pairs.keys = key_block(sequence, block);
  const bool full = kind == BlockKind::kFull;
  pairs.band =
      full ? Band{-kTile, kTile} : band_of(sequence.rules, pairs.queries.begin, pairs.keys.begin);
  pairs.next_block = next_kept_block(sequence, tile, block + 1);
  for (int64_t t = 0; t < kTile; ++t) {
    if (t >= pairs.queries.count) {
      pairs.kept[t] = 0;
    } else if (full) {
      pairs.kept[t] = range_bits(0, pairs.keys.count);
    } else {
      pairs.kept[t] = keep_bits(sequence.rules, pairs.queries.begin + t, pairs.keys.begin);
    }
  }
}

BiasGradient bias_gradient_of(const Problem& problem, const Pairs& pairs, int64_t head,
                              Worker& worker) {
  const AttentionBackwardArgs& args = problem.args;
  const int64_t index = pairs.sequence->index;
  BiasGradient to{};
  switch (problem.bias_sum) {
    case BiasSum::kElements:
      to.elements = static_cast<float*>(args.dbias) + index * args.dbias_batch_stride +
                    head * args.dbias_head_stride + pairs.queries.begin * args.dbias_query_stride +
                    pairs.keys.begin;
      to.stride = args.dbias_query_stride;
      break;
    case BiasSum::kRows:
      to.row_sums = worker.row_sums;
      break;
    case BiasSum::kKeys:
      to.key_sums = problem.scratch + problem.at.bias_keys +
                    (index * problem.forward.num_heads + head) * problem.at.padded_keys +
                    pairs.keys.begin;
      break;
    case BiasSum::kNone:
      break;
  }
  return to;
}

template <class T>
ScoreRules score_rules(const Problem& problem, const Pairs& pairs, int64_t head, Worker& worker) {
  const AttentionArgs& forward = problem.forward;
  const int64_t index = pairs.sequence->index;
  ScoreRules rules{};
  rules.scale = forward.scale;
  rules.softcap = forward.softcap;
  if (forward.bias != nullptr) {
    rules.bias = static_cast<const T*>(forward.bias) + index * forward.bias_batch_stride +
                 head * forward.bias_head_stride + pairs.queries.begin * forward.bias_query_stride +
                 pairs.keys.begin * forward.bias_key_stride;
    rules.bias_query_stride = forward.bias_query_stride;
    rules.bias_key_stride = forward.bias_key_stride;
    rules.dbias = bias_gradient_of(problem, pairs, head, worker);
  }
  if (forward.alibi_slopes != nullptr) rules.alibi_slope = forward.alibi_slopes[head];
  rules.distance = position_of(pairs.sequence->rules, pairs.queries.begin) - pairs.keys.begin;
  rules.drops = forward.dropout > 0.0f;
  rules.row = index * forward.num_heads + head;
  rules.query_begin = pairs.queries.begin;
  rules.key_begin = pairs.keys.begin;
  rules.num_keys = pairs.keys.count;
  return rules;
}

// Probabilities and score gradients of the tile, from the packed q and dout.
template <class Math>
void compute_scores(const Problem& problem, const Pairs& pairs, int64_t head, Worker& worker) {
  const AttentionArgs& forward = problem.forward;
  const Sequence& sequence = *pairs.sequence;
  const ScoreRules rules = score_rules<typename Math::Element>(problem, pairs, head, worker);
  const bool plain = rules.plain();
  const int64_t row = sequence.first_row + head * sequence.row_stride + pairs.queries.begin;
  const float* lse = forward.lse + row;
  const float* delta = problem.scratch + problem.at.delta + row;
  const int64_t words = words_of<Math>(forward.head_dim);
  const int64_t value_words = words_of<Math>(forward.value_dim);
  for_row_groups(0, pairs.queries.count, [&](int64_t query, auto rows) {
    constexpr int M = decltype(rows)::value;
    const Span keys = pairs.keys_of(query, query + M);
    const int64_t begin = keys.begin / kWidth, end = divide_up(keys.end, kWidth);
    score_rows<Math, M>(worker.products, worker.q_left + query * kPanel, worker.keys_transposed,
                        words, begin, end);
    score_rows<Math, M>(worker.dproducts, worker.dout_left + query * kPanel,
                        worker.values_transposed, value_words, begin, end);
    for (int64_t m = 0; m < M; m += 2) {
      QueryRow both[2];
      for (int64_t r = 0; r < 2; ++r) {
        const int64_t t = query + m + r;
        const bool inside = t < pairs.queries.count;
        both[r] = {inside ? finite_lse(lse[t]) : 0.0f, inside ? delta[t] : 0.0f, pairs.kept[t]};
      }
      const float* products = worker.products + m * kTile;
      const float* dproducts = worker.dproducts + m * kTile;
      if (plain) {
        plain_rows<Math>(worker.scores, products, dproducts, both, rules.scale, query + m, begin,
                         end);
      } else {
        shaped_rows<Math>(worker.scores, products, dproducts, both, forward, rules, query + m,
                          begin, end);
      }
    }
  });
}

// Adds the tile's share, in `worker.dq`, in the order of the blocks; the last one rounds to T.
template <class T>
void add_query_gradient(const Problem& problem, const Pairs& pairs, int64_t head, Worker& worker) {
  const AttentionBackwardArgs& args = problem.args;
  const Sequence& sequence = *pairs.sequence;
  const int64_t width = problem.forward.head_dim;
  int32_t* turn = turn_of(problem, sequence, head, pairs.tile);
  const bool first = wait_for_turn(turn, pairs.block);
  const bool last = pairs.next_block < 0;
  T* out = static_cast<T*>(args.dq) + sequence.query_at(args.dq_strides, head, pairs.queries.begin);
  const bool direct = problem.forward.dtype == DType::kFloat32;
  const int64_t heads = problem.forward.num_heads;
  const HeadStrides strides{problem.forward.num_queries * heads * width, heads * width, width};
  float* sums = direct ? reinterpret_cast<float*>(out)
                       : problem.scratch + problem.at.dq +
                             sequence.query_at(strides, head, pairs.queries.begin);
  const int64_t sum_stride = direct ? args.dq_strides.token : strides.token;
  for (int64_t t = 0; t < pairs.queries.count; ++t) {
    for (int64_t d = 0; d < width; d += kWidth) {
      VecF v = load(worker.dq + (d / kPanel * kTile + t) * kPanel + d % kPanel);
      float* sum = sums + t * sum_stride + d;
      if (!first) v = load_up_to(sum, width - d) + v;
      if (last) {
        store_up_to(out + t * args.dq_strides.token + d, v, width - d);
      } else {
        store_up_to(sum, v, width - d);
      }
    }
  }
  if (problem.bias_sum == BiasSum::kRows) {
    float* rows = problem.scratch + problem.at.bias_rows + sequence.first_row +
                  head * sequence.row_stride + pairs.queries.begin;
    for (int64_t t = 0; t < pairs.queries.count; ++t) rows[t] += worker.row_sums[t];
  }
  __atomic_store_n(turn, static_cast<int32_t>(pairs.next_block), __ATOMIC_RELEASE);
}

template <class Math>
void process_tile(const Problem& problem, const Pairs& pairs, int64_t head, Worker& worker) {
  using T = typename Math::Element;
  const AttentionArgs& forward = problem.forward;
  const Sequence& sequence = *pairs.sequence;
  const int64_t width = forward.head_dim, value_width = forward.value_dim;
  const int64_t q_at = sequence.query_at(forward.q_strides, head, pairs.queries.begin);
  const int64_t dout_at = sequence.query_at(problem.args.dout_strides, head, pairs.queries.begin);
  const Rows<T> q{static_cast<const T*>(forward.q) + q_at, forward.q_strides.token,
                  pairs.queries.count, width};
  const Rows<T> dout{static_cast<const T*>(problem.args.dout) + dout_at,
                     problem.args.dout_strides.token, pairs.queries.count, value_width};
  Math::pack_left(worker.q_left, q);
  Math::pack_left(worker.dout_left, dout);
  if constexpr (Math::kDepth > 1) {
    Math::pack_right(worker.q_right, q);
    Math::pack_right(worker.dout_right, dout);
  }
  compute_scores<Math>(problem, pairs, head, worker);
  const auto queries_of = [&](int64_t a, int64_t b) { return pairs.queries_of(a, b); };
  add_key_gradient<Math>(worker.dv, worker.scores.weights_for_keys, worker.dout_right, value_width,
                         pairs.keys.count, queries_of);
  add_key_gradient<Math>(worker.dk, worker.scores.gradients_for_keys, worker.q_right, width,
                         pairs.keys.count, queries_of);
  query_gradient<Math>(worker.dq, worker.scores.gradients_for_queries, worker.keys, width,
                       pairs.queries.count,
                       [&](int64_t a, int64_t b) { return pairs.keys_of(a, b); });
  add_query_gradient<T>(problem, pairs, head, worker);
}

template <class T>
void write_rows(T* to, int64_t stride, const float* sums, int64_t count, int64_t width) {
  for (int64_t r = 0; r < count; ++r) {
    for (int64_t d = 0; d < width; d += kWidth) {
      store_up_to(to + r * stride + d, load(sums + (d / kPanel * kTile + r) * kPanel + d % kPanel),
                  width - d);
    }
  }
}

void clear(float* p, int64_t floats) {
  __builtin_memset(p, 0, static_cast<size_t>(floats) * sizeof(float));
}

template <class Math>
void process_block(const Problem& problem, const Sequence& sequence, int64_t kv_head, int64_t block,
                   Worker& worker) {
  using T = typename Math::Element;
  const AttentionBackwardArgs& args = problem.args;
  const AttentionArgs& forward = problem.forward;
  const Tile keys = key_block(sequence, block);
  const Rows<T> k{
      static_cast<const T*>(forward.k) + sequence.key_at(forward.k_strides, kv_head, keys.begin),
      forward.k_strides.token, keys.count, forward.head_dim};
  const Rows<T> v{
      static_cast<const T*>(forward.v) + sequence.key_at(forward.v_strides, kv_head, keys.begin),
      forward.v_strides.token, keys.count, forward.value_dim};
  pack_transposed<Math>(worker.keys_transposed, k);
  pack_transposed<Math>(worker.values_transposed, v);
  Math::pack_right(worker.keys, k);
  clear(worker.dk, kTile * problem.at.width);
  clear(worker.dv, kTile * problem.at.value_width);
  const int64_t group = problem.group(), head = kv_head * group;
  for (int64_t h = head; h < head + group && problem.bias_sum == BiasSum::kKeys; ++h) {
    const int64_t row = (sequence.index * forward.num_heads + h) * problem.at.padded_keys;
    clear(problem.scratch + problem.at.bias_keys + row + keys.begin, kTile);
  }
  Pairs pairs;
  for (int64_t tile = 0; tile < sequence.num_tiles(); ++tile) {
    const BlockKind kind = kind_at(sequence, tile, block);
    if (kind == BlockKind::kSkip) continue;
    set_pairs(pairs, sequence, tile, block, kind);
    for (int64_t h = head; h < head + group; ++h) process_tile<Math>(problem, pairs, h, worker);
  }
  write_rows(static_cast<T*>(args.dk) + sequence.key_at(args.dk_strides, kv_head, keys.begin),
             args.dk_strides.token, worker.dk, keys.count, forward.head_dim);
  write_rows(static_cast<T*>(args.dv) + sequence.key_at(args.dv_strides, kv_head, keys.begin),
             args.dv_strides.token, worker.dv, keys.count, forward.value_dim);
}

// --- units ---------------------------------------------------------------------------------------

// Streams are (sequence, key/value head), or sets of them that share a bias gradient. As many of
// them as there are workers are processed at a time, block by block, so that workers seldom meet in
// one stream and a stream stays in the cache.
template <class Math>
void run_units(const Problem& problem, int64_t index) {
  const AttentionArgs& forward = problem.forward;
  const int64_t batch_streams = problem.merges_batch ? 1 : forward.num_sequences;
  const int64_t head_streams = problem.merges_heads ? 1 : forward.num_kv_heads;
  const int64_t streams = batch_streams * head_streams, blocks = problem.max_blocks();
  const int64_t lanes = at_most(problem.args.num_threads, streams);
  auto* next = reinterpret_cast<int64_t*>(problem.scratch + problem.at.next_unit);
  Worker worker = worker_of<Math>(problem, index);
  for (;;) {
    const int64_t unit = __atomic_fetch_add(next, 1, __ATOMIC_RELAXED);
    if (unit >= streams * blocks) return;
    const int64_t first = unit / (lanes * blocks) * lanes;
    const int64_t left = unit - first * blocks, together = at_most(lanes, streams - first);
    const int64_t block = left / together, stream = first + left % together;
    const int64_t batch = stream / head_streams, head = stream % head_streams;
    const int64_t batch_end = problem.merges_batch ? forward.num_sequences : batch + 1;
    const int64_t head_end = problem.merges_heads ? forward.num_kv_heads : head + 1;
    for (int64_t b = batch; b < batch_end; ++b) {
      const Sequence sequence = sequence_of(problem, b);
      if (block >= sequence.num_blocks()) continue;
      for (int64_t h = head; h < head_end; ++h) {
        process_block<Math>(problem, sequence, h, block, worker);
      }
    }
  }
}

// --- after the units: sums over sequences, heads and tiles
// ----------------------------------------

void sum_sinks(const Problem& problem) {
  for (int64_t h = 0; h < problem.forward.num_heads; ++h) {
    const float* shares = problem.scratch + problem.at.sinks + h * problem.at.tiles;
    double sum = 0;
    for (int64_t b = 0; b < problem.forward.num_sequences; ++b) {
      const Sequence sequence = sequence_of(problem, b);
      for (int64_t i = 0; i < sequence.num_tiles(); ++i) sum += shares[sequence.first_tile + i];
    }
    problem.args.dsinks[h] = static_cast<float>(-sum);
  }
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
    for (int64_t h = head; h < head_end; ++h) {
      const float* rows = problem.scratch + problem.at.bias_rows +
                          (b * forward.num_heads + h) * forward.num_queries;
      for (int64_t t = query; t < query_end; ++t) sum += rows[t];
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
  *reinterpret_cast<int64_t*>(problem.scratch + problem.at.next_unit) = 0;
  parallel_for(0, args.num_threads, 1,
               [&](int64_t begin, int64_t) { run_units<Math>(problem, begin); });
  if (args.dsinks != nullptr) sum_sinks(problem);
  if (problem.bias_sum == BiasSum::kRows || problem.bias_sum == BiasSum::kKeys) {
    sum_bias(problem, parallel_for);
  }
}

}  // namespace

void attention_backward(const AttentionBackwardArgs& args, const ParallelFor& parallel_for) {
  switch (args.forward.dtype) {
    case DType::kFloat32:
      return backward<FloatMath<float>>(args, parallel_for);
    case DType::kBFloat16:
#if defined(__AVX512BF16__)
      return backward<PairMath>(args, parallel_for);
#else
      return backward<FloatMath<BFloat16>>(args, parallel_for);
#endif
    default:
      return backward<FloatMath<Float16>>(args, parallel_for);
  }
}

}  // namespace llmcore::cpu::LLMCORE_ISA
