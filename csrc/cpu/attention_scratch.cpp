#include "cpu/attention_scratch.h"

namespace llmcore::cpu {

namespace {

constexpr int64_t kTile = 64, kPanel = 32, kLine = 16, kMicroRows = 12;

constexpr int64_t round_up(int64_t n, int64_t step) {
  return (n + step - 1) / step * step;
}

// Five operands per block of keys: up to 640 KiB, which a 1 MiB cache holds beside the queries.
int64_t strip_limit(int64_t width, int64_t value_width) {
  const int64_t both = width + value_width;
  return both <= 256 ? 4 : 2;
}

int64_t worker_size(int64_t width, int64_t value_width, int64_t strip) {
  const int64_t of_keys = strip * kTile * (3 * width + 2 * value_width);
  const int64_t operands = of_keys + kTile * (3 * width + 2 * value_width);
  const int64_t scores = 3 * kTile * kTile + 2 * kMicroRows * kTile;
  return operands + scores + round_up(kTile, kLine);
}

}  // namespace

int64_t attention_first_tile(const AttentionArgs& forward, int64_t sequence) {
  if (forward.cu_seqlens_q != nullptr) return forward.cu_seqlens_q[sequence] / kTile + sequence;
  return sequence * ((forward.num_queries + kTile - 1) / kTile);
}

AttentionScratch attention_scratch(const AttentionArgs& forward, int64_t num_threads) {
  AttentionScratch at{};
  const int64_t batch = forward.num_sequences, heads = forward.num_heads;
  const bool packed = forward.cu_seqlens_q != nullptr;
  at.rows = packed ? forward.cu_seqlens_q[batch] : batch * forward.num_queries;
  at.tiles = attention_first_tile(forward, batch);
  at.padded_keys = round_up(forward.num_keys, kTile);
  at.width = round_up(forward.head_dim, kPanel);
  at.value_width = round_up(forward.value_dim, kPanel);
  at.max_strip = strip_limit(at.width, at.value_width);
  at.worker_size = worker_size(at.width, at.value_width, at.max_strip);
  int64_t end = 0;
  const auto take = [&end](int64_t floats) {
    const int64_t begin = end;
    end = round_up(end + floats, kLine);
    return begin;
  };
  at.workers = take(num_threads * at.worker_size);
  at.next_unit = take(kLine);
  at.delta = take(heads * at.rows);
  at.next_strips = take(heads * at.tiles);
  at.dq = take(forward.dtype == DType::kFloat32 ? 0 : at.rows * heads * forward.head_dim);
  at.row_deltas = take(forward.sinks != nullptr ? heads * at.rows : 0);
  at.bias_keys = take(forward.bias != nullptr ? batch * heads * at.padded_keys : 0);
  at.end = end + kLine;  // the first line may begin after the scratch's address
  return at;
}

int64_t attention_backward_scratch_floats(const AttentionArgs& forward, int64_t num_threads) {
  return attention_scratch(forward, num_threads).end;
}

}  // namespace llmcore::cpu
