// See ops/attention.h, and cpu/attention_core.h for the order of the sums.
//
// Ladder: to be measured.
#include "ops/attention.h"

#include "cpu/attention_core.h"
#include "cpu/isa_variant.h"
#include "cpu/scratch.h"

namespace llmcore::cpu::LLMCORE_ISA {

namespace {

constexpr int64_t kTileRows = 96;
constexpr int64_t kMostTasks = 256;

// How the rows of every sequence and key/value head are cut into tiles.
struct Plan {
  int64_t heads_per_tile;
  int64_t head_tiles;
  int64_t queries_per_tile;
  int64_t query_tiles;
  int64_t num_tiles;
};

Plan plan_of(const AttentionArgs& args) {
  const int64_t group = args.num_heads / args.num_kv_heads;
  Plan plan;
  plan.heads_per_tile = group < kTileRows ? group : kTileRows;
  plan.head_tiles = (group + plan.heads_per_tile - 1) / plan.heads_per_tile;
  plan.queries_per_tile = kTileRows / plan.heads_per_tile;
  plan.query_tiles = (args.num_queries + plan.queries_per_tile - 1) / plan.queries_per_tile;
  plan.num_tiles = args.num_sequences * args.num_kv_heads * plan.head_tiles * plan.query_tiles;
  return plan;
}

// Tile `index` of the plan; the latest queries, which see most keys, come first.
Tile tile_of(const AttentionArgs& args, const Plan& plan, int64_t index) {
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
  tile.first_token = args.cu_seqlens_q != nullptr ? args.cu_seqlens_q[tile.sequence] : 0;
  return tile;
}

template <class T>
StridedRows rows_of(const AttentionArgs& args, const Tile& tile) {
  constexpr auto kBytes = static_cast<int64_t>(sizeof(T));
  const int64_t token = args.cu_seqlens_k != nullptr ? args.cu_seqlens_k[tile.sequence] : 0;
  const auto first = [&](const HeadStrides& at) {
    return (tile.sequence * at.batch + token * at.token + tile.kv_head * at.head) * kBytes;
  };
  return {static_cast<const char*>(args.k) + first(args.k_strides),
          static_cast<const char*>(args.v) + first(args.v_strides), args.k_strides.token * kBytes,
          args.v_strides.token * kBytes};
}

template <bool kPairs, class T>
void run_tiles(const AttentionArgs& args, const Plan& plan, int64_t* next) {
  int64_t num_bytes = 0;
  workspace_of<kPairs>(nullptr, args, kTileRows, &num_bytes);
  const Workspace space =
      workspace_of<kPairs>(thread_scratch(num_bytes), args, kTileRows, &num_bytes);
  for (;;) {
    const int64_t index = __atomic_fetch_add(next, 1, __ATOMIC_RELAXED);
    if (index >= plan.num_tiles) return;
    Tile tile = tile_of(args, plan, index);
    const PairRules rules = pair_rules(args, tile.sequence);
    const int64_t left = rules.num_queries - tile.query_begin;
    if (left <= 0) continue;
    tile.num_queries = left < plan.queries_per_tile ? left : plan.queries_per_tile;
    attend_tile<kPairs, T, T>(args, rules, tile, rows_of<T>(args, tile), space);
  }
}

template <bool kPairs, class T>
void run(const AttentionArgs& args, const ParallelFor& parallel_for) {
  const Plan plan = plan_of(args);
  if (plan.num_tiles == 0) return;
  int64_t next = 0;
  // A body takes tiles until none is left, so threads share them however long each takes.
  const auto body = [&](int64_t, int64_t) { run_tiles<kPairs, T>(args, plan, &next); };
  const int64_t tasks = plan.num_tiles < kMostTasks ? plan.num_tiles : kMostTasks;
  const int64_t work = args.num_sequences * args.num_heads * args.num_queries * args.num_keys *
                       (args.head_dim + args.value_dim);
  parallel_for(0, tasks, work < (1 << 18) ? tasks : 1, body);
}

}  // namespace

void attention(const AttentionArgs& args, const ParallelFor& parallel_for) {
  switch (args.dtype) {
    case DType::kFloat32:
      return run<false, float>(args, parallel_for);
    case DType::kBFloat16:
#if defined(__AVX512BF16__)
      return run<true, BFloat16>(args, parallel_for);
#else
      return run<false, BFloat16>(args, parallel_for);
#endif
    default:
      return run<false, Float16>(args, parallel_for);
  }
}

}  // namespace llmcore::cpu::LLMCORE_ISA
