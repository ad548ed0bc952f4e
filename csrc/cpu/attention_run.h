// How attention is cut into tasks. Many rows per key/value head: tiles of queries, all keys each.
// Few rows, as in decoding: spans of keys, all heads each, merged afterwards in order; memory is
// then read once and in its own order, and one long sequence feeds every thread. Both give the same
// bits.
//
// `Sequences` knows of sequence b: rules(b), source(b) (where its keys lie) and first_token(b).
#pragma once

#include <cstdint>

#include "core/parallel.h"
#include "cpu/attention_core.h"
#include "cpu/scratch.h"

namespace llmcore::cpu::LLMCORE_ISA {

constexpr int64_t kMostTasks = 256;

constexpr int64_t divide_up(int64_t a, int64_t b) {
  return (a + b - 1) / b;
}

// Runs task(index) for every index below `count`. A thread takes the next index until none is left,
// so that threads share them however long each takes.
template <class Task>
void run_tasks(int64_t count, bool is_small, const ParallelFor& parallel_for, const Task& task) {
  int64_t next = 0;
  const auto body = [&](int64_t, int64_t) {
    for (;;) {
      const int64_t index = __atomic_fetch_add(&next, 1, __ATOMIC_RELAXED);
      if (index >= count) return;
      task(index);
    }
  };
  const int64_t bodies = count < kMostTasks ? count : kMostTasks;
  if (bodies > 0) parallel_for(0, bodies, is_small ? bodies : 1, body);
}

// A thread's wake-up takes about 5 us.
inline bool is_small(const AttentionArgs& args) {
  return args.num_sequences * args.num_heads * args.num_queries * args.num_keys *
             (args.head_dim + args.value_dim) <
         (int64_t{1} << 19);
}

template <bool kPairs>
Workspace thread_workspace(const AttentionArgs& args, int64_t rows) {
  int64_t num_bytes = 0;
  workspace_of<kPairs>(nullptr, args, rows, &num_bytes);
  return workspace_of<kPairs>(thread_scratch(Scratch::kWorker, num_bytes), args, rows, &num_bytes);
}

// --- tiles of queries ------------------------------------------------------------------------

struct TilePlan {
  int64_t rows_per_tile;
  int64_t heads_per_tile;
  int64_t head_tiles;
  int64_t queries_per_tile;
  int64_t query_tiles;
  int64_t num_tiles;
};

// Rows per tile: many, so that packing a block of keys is a small part of the work on it (8 % at 96
// rows and 128 channels), but enough tiles to go round. A multiple of the rows in registers.
inline int64_t tile_rows(const AttentionArgs& args) {
  constexpr int64_t kMost = 32 * kGroupRows, kFewest = 8 * kGroupRows, kTiles = 16;
  const int64_t rows = args.num_sequences * args.num_heads * args.num_queries / kTiles;
  return rows < kFewest ? kFewest : (rows > kMost ? kMost : rows / kGroupRows * kGroupRows);
}

inline TilePlan tile_plan(const AttentionArgs& args) {
  const int64_t group = args.num_heads / args.num_kv_heads;
  TilePlan plan;
  plan.rows_per_tile = tile_rows(args);
  plan.heads_per_tile = group < plan.rows_per_tile ? group : plan.rows_per_tile;
  plan.head_tiles = divide_up(group, plan.heads_per_tile);
  plan.queries_per_tile = plan.rows_per_tile / plan.heads_per_tile;
  plan.query_tiles = divide_up(args.num_queries, plan.queries_per_tile);
  plan.num_tiles = args.num_sequences * args.num_kv_heads * plan.head_tiles * plan.query_tiles;
  return plan;
}

// Tile `index` of the plan; the latest queries, which see most keys, come first.
inline Tile tile_of(const AttentionArgs& args, const TilePlan& plan, int64_t index) {
  const int64_t group = args.num_heads / args.num_kv_heads;
  const int64_t head_tile = index % plan.head_tiles;
  index /= plan.head_tiles;
  Tile tile{};
  tile.kv_head = index % args.num_kv_heads;
  index /= args.num_kv_heads;
  tile.sequence = index % args.num_sequences;
  tile.query_begin = (plan.query_tiles - 1 - index / args.num_sequences) * plan.queries_per_tile;
  const int64_t heads = group - head_tile * plan.heads_per_tile;
  tile.head_begin = tile.kv_head * group + head_tile * plan.heads_per_tile;
  tile.num_heads = heads < plan.heads_per_tile ? heads : plan.heads_per_tile;
  return tile;
}

template <bool kPairs, class T, class KV, class Sequences>
void run_tiles(const AttentionArgs& args, const Sequences& sequences,
               const ParallelFor& parallel_for) {
  const TilePlan plan = tile_plan(args);
  run_tasks(plan.num_tiles, is_small(args), parallel_for, [&](int64_t index) {
    Tile tile = tile_of(args, plan, index);
    const PairRules rules = sequences.rules(tile.sequence);
    const int64_t left = rules.num_queries - tile.query_begin;
    if (left <= 0) return;
    tile.num_queries = left < plan.queries_per_tile ? left : plan.queries_per_tile;
    tile.first_token = sequences.first_token(tile.sequence);
    attend_tile<kPairs, T, KV>(args, rules, tile, sequences.source(tile.sequence),
                               thread_workspace<kPairs>(args, plan.rows_per_tile));
  });
}

// --- spans of keys ---------------------------------------------------------------------------

struct SpanPlan {
  int64_t rows;            // most rows per key/value head
  int64_t num_spans;       // most per sequence
  int64_t parts_per_task;  // key/value heads
  int64_t tasks_per_span;
  int64_t state_floats;  // of one row
};

inline bool has_few_rows(const AttentionArgs& args) {
  return args.num_queries * (args.num_heads / args.num_kv_heads) <= 4 * kGroupRows;
}

inline SpanPlan span_plan(const AttentionArgs& args, int64_t element_bytes) {
  SpanPlan plan;
  plan.rows = args.num_queries * (args.num_heads / args.num_kv_heads);
  plan.num_spans = divide_up(args.num_keys, kSpanKeys);
  constexpr int64_t kBlockBytes = int64_t{1} << 19;  // half of a 1 MiB second-level cache
  const int64_t head_bytes = kBlockKeys * (args.head_dim + args.value_dim) * element_bytes;
  const auto tasks = [&](int64_t parts) {
    return args.num_sequences * plan.num_spans * divide_up(args.num_kv_heads, parts);
  };
  // Fewer heads per task where their blocks would not fit the cache, or threads would find no task.
  int64_t parts = args.num_kv_heads;
  while (parts > 1 && parts * head_bytes > kBlockBytes) parts = divide_up(parts, 2);
  while (parts > 1 && tasks(parts) < 4) parts = divide_up(parts, 2);
  plan.parts_per_task = parts;
  plan.tasks_per_span = divide_up(args.num_kv_heads, plan.parts_per_task);
  plan.state_floats = 1 + kWidth + round_up(args.value_dim, kWidth);
  return plan;
}

// The state that span `span` of a sequence leaves for the rows of one key/value head and the next.
inline RowState state_of(const AttentionArgs& args, const SpanPlan& plan, float* states,
                         int64_t sequence, int64_t span, int64_t kv_head) {
  const int64_t rows = plan.rows * args.num_kv_heads;
  float* first = states + (sequence * plan.num_spans + span) * rows * plan.state_floats;
  const RowState all{first, first + rows, first + rows * (1 + kWidth)};
  return state_from(all, kv_head * plan.rows, round_up(args.value_dim, kWidth));
}

template <class Sequences>
Tile few_rows(const AttentionArgs& args, const Sequences& sequences, const PairRules& rules,
              int64_t sequence, int64_t kv_head) {
  const int64_t group = args.num_heads / args.num_kv_heads;
  return {.sequence = sequence,
          .kv_head = kv_head,
          .first_token = sequences.first_token(sequence),
          .query_begin = 0,
          .num_queries = rules.num_queries,
          .head_begin = kv_head * group,
          .num_heads = group};
}

template <bool kPairs, class T, class KV, class Sequences>
void run_span(const AttentionArgs& args, const Sequences& sequences, const SpanPlan& plan,
              float* states, int64_t index) {
  const int64_t kv_head = index % plan.tasks_per_span * plan.parts_per_task;
  const int64_t span = index / plan.tasks_per_span % plan.num_spans;
  const int64_t sequence = index / plan.tasks_per_span / plan.num_spans;
  const PairRules rules = sequences.rules(sequence);
  const int64_t begin = span * kSpanKeys, left = rules.num_keys - begin;
  if (left <= 0 || rules.num_queries == 0) return;
  const int64_t parts = args.num_kv_heads - kv_head < plan.parts_per_task
                            ? args.num_kv_heads - kv_head
                            : plan.parts_per_task;
  const Tile tile = few_rows(args, sequences, rules, sequence, kv_head);
  Workspace space = thread_workspace<kPairs>(args, plan.rows * parts);
  // A shorter sequence has fewer rows per head; they follow each other all the same.
  space.span = state_of(args, plan, states, sequence, span, kv_head);
  for (int64_t part = 0; part < parts; ++part) {
    const Workspace mine = rows_from<kPairs>(space, args, part * tile.rows());
    load_queries<kPairs, T>(args, next_head(tile, part, tile.num_heads), mine.q);
  }
  attend_span<kPairs, KV>(args, rules, tile, parts, sequences.source(sequence), space, begin,
                          begin + (left < kSpanKeys ? left : kSpanKeys));
}

template <bool kPairs, class T, class Sequences>
void merge_spans(const AttentionArgs& args, const Sequences& sequences, const SpanPlan& plan,
                 float* states, int64_t index) {
  const int64_t kv_head = index % args.num_kv_heads, sequence = index / args.num_kv_heads;
  const PairRules rules = sequences.rules(sequence);
  if (rules.num_queries == 0) return;
  const int64_t width = round_up(args.value_dim, kWidth);
  const Tile tile = few_rows(args, sequences, rules, sequence, kv_head);
  const int64_t task_head = kv_head / plan.parts_per_task * plan.parts_per_task;
  const RowState total = thread_workspace<kPairs>(args, plan.rows).total;
  begin_total(args, tile, total, width);
  for (int64_t span = 0; span * kSpanKeys < rules.num_keys; ++span) {
    const RowState task = state_of(args, plan, states, sequence, span, task_head);
    merge(total, state_from(task, (kv_head - task_head) * tile.rows(), width), tile.rows(), width);
  }
  write_rows<T>(args, tile, total, width);
}

template <bool kPairs, class T, class KV, class Sequences>
void run_spans(const AttentionArgs& args, const Sequences& sequences,
               const ParallelFor& parallel_for) {
  const SpanPlan plan = span_plan(args, sizeof(KV));
  const int64_t spans = args.num_sequences * plan.num_spans;
  const int64_t floats = spans * plan.rows * args.num_kv_heads * plan.state_floats;
  float* states = thread_floats(Scratch::kShared, floats + 1);
  run_tasks(spans * plan.tasks_per_span, is_small(args), parallel_for,
            [&](int64_t index) { run_span<kPairs, T, KV>(args, sequences, plan, states, index); });
  const bool merges_little = floats < (1 << 16);
  run_tasks(args.num_sequences * args.num_kv_heads, merges_little, parallel_for,
            [&](int64_t index) { merge_spans<kPairs, T>(args, sequences, plan, states, index); });
}

template <bool kPairs, class T, class KV, class Sequences>
void run_attention(const AttentionArgs& args, const Sequences& sequences,
                   const ParallelFor& parallel_for) {
  if (has_few_rows(args)) {
    run_spans<kPairs, T, KV>(args, sequences, parallel_for);
  } else {
    run_tiles<kPairs, T, KV>(args, sequences, parallel_for);
  }
}

}  // namespace llmcore::cpu::LLMCORE_ISA
