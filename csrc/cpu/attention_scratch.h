// Where the backward of attention keeps its intermediate results, in floats from the start of its
// scratch: O(T) of them, whatever the number of keys. The same for every instruction set.
#pragma once

#include <cstdint>

#include "ops/attention.h"

namespace llmcore::cpu {

struct AttentionScratch {
  int64_t rows;         // B * T, or all tokens of packed queries
  int64_t tiles;        // at least the tiles of 64 queries of one head, all sequences
  int64_t padded_keys;  // S rounded up to whole blocks
  int64_t width;        // D and Dv rounded up to whole panels of any instruction set
  int64_t value_width;
  int64_t delta;        // (B, H, T), or (H, N) if packed
  int64_t next_strips;  // (H, tiles) int32: see attention_backward.cpp
  int64_t dq;           // (B, T, H, D) sums of dq where the output is not float32
  int64_t row_deltas;   // as delta, from the probabilities; for sinks
  int64_t bias_keys;    // (B, H, padded_keys): gradient of a bias with one query
  int64_t next_unit;    // int64
  int64_t workers;      // (num_threads, worker_size)
  int64_t worker_size;
  int64_t max_strip;  // most blocks of 64 keys that a worker has room for at a time
  int64_t end;
};

AttentionScratch attention_scratch(const AttentionArgs& forward, int64_t num_threads);

// First tile of a sequence among those of its head: each has room for its queries.
int64_t attention_first_tile(const AttentionArgs& forward, int64_t sequence);

}  // namespace llmcore::cpu
