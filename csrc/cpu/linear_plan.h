// How `linear` splits its work: pure functions of the shape. No split changes a result
// (ops/linear.h).
//
// Rows of x are cut into tiles of at most `tile_rows` (what the registers hold), tiles into blocks
// (whose float32 sums of one panel stay in the second-level cache), blocks into passes (whose
// repacked x stays in the last-level cache).
#pragma once

#include "ops/linear.h"

namespace llmcore::cpu {

constexpr int64_t kMaxBlockRows = 192;
constexpr int64_t kStackInputBytes = 32 << 10;  // repacked x up to this size needs no scratch
constexpr int64_t kPassBytes = 8 << 20;
constexpr int64_t kChunkInputs = 128;

constexpr int64_t divide_up(int64_t a, int64_t b) {
  return (a + b - 1) / b;
}

// Share `part` of `parts` of `size` things begins here; shares differ by at most one.
constexpr int64_t even_split(int64_t size, int64_t part, int64_t parts) {
  return size * part / parts;
}

// Input channels of a row of repacked x, at least 8: no format's step is longer.
constexpr int64_t padded_inputs(int64_t in_size) {
  return in_size > 0 ? divide_up(in_size, 8) * 8 : 8;
}

struct LinearPlan {
  int64_t rows;
  int64_t num_tiles;
  int64_t num_blocks;
  int64_t num_passes;

  constexpr int64_t tile_begin(int64_t tile) const { return even_split(rows, tile, num_tiles); }
  constexpr int64_t block_begin(int64_t block) const {  // first tile
    return even_split(num_tiles, block, num_blocks);
  }
  constexpr int64_t pass_begin(int64_t pass) const {  // first block
    return even_split(num_blocks, pass, num_passes);
  }
};

constexpr LinearPlan linear_plan(int64_t rows, int64_t in_size, int64_t tile_rows) {
  const int64_t num_tiles = divide_up(rows, tile_rows);
  const int64_t num_blocks = divide_up(num_tiles, kMaxBlockRows / tile_rows);
  const int64_t block_bytes = kMaxBlockRows * padded_inputs(in_size) * 4;
  const int64_t pass_blocks = kPassBytes > block_bytes ? kPassBytes / block_bytes : 1;
  return {rows, num_tiles, num_blocks, divide_up(num_blocks, pass_blocks)};
}

// Tasks are worth a thread's wake-up: about 10 us.
constexpr int64_t kTaskCycles = 32768;

// Tiles of x to repack per task, at a cycle per number.
constexpr int64_t grain_tiles(int64_t in_size, int64_t tile_rows) {
  return divide_up(kTaskCycles, tile_rows * padded_inputs(in_size) + 1);
}

// Panels (times blocks) per task, at 16 products or 16 bytes a cycle.
constexpr int64_t grain_panels(const PackedWeight& weight, int64_t rows_per_block) {
  const int64_t steps = linear_num_steps(weight.format, weight.in_size);
  const int64_t reading = steps * linear_step_bytes(weight.format) / 16;
  const int64_t products = rows_per_block * weight.in_size * kPanelWidth / 16;
  const int64_t cycles = reading > products ? reading : products;
  return cycles > 0 && cycles < kTaskCycles ? kTaskCycles / cycles : 1;
}

// Input channels whose products are one chain of sums: long chains lose accuracy, and where the
// result is rounded to bfloat16 anyway (`is_dot`) that shows less. A group is never crossed.
constexpr int64_t block_inputs(const PackedWeight& weight, bool is_dot) {
  const int64_t most = is_dot ? 128 : 64;
  return weight.group_size > 0 && weight.group_size < most ? weight.group_size : most;
}

// Input channels of a panel that all tiles of a block of rows use before the next ones, whole
// groups and blocks: what half of the first-level cache holds as float32 or bfloat16. All of them
// where one tile reads the weight.
constexpr int64_t chunk_inputs(const PackedWeight& weight, int64_t num_tiles) {
  if (num_tiles == 1) return padded_inputs(weight.in_size);
  return weight.format == WeightFormat::kFloat32 ? 64 : kChunkInputs;
}

// Whether an integer weight is unpacked to bfloat16 once per chunk rather than in every tile.
// Measured: int8 gains from the second tile on; int4 loses where a table lookup unpacks it.
constexpr bool unpacks_chunks(WeightFormat format, int64_t num_tiles, bool has_lookup) {
  const bool is_slow =
      format == WeightFormat::kInt8 || (format == WeightFormat::kInt4 && !has_lookup);
  return is_slow && num_tiles > 1;
}

// Bytes of repacked x that a call's scratch must hold; 0 where the stack holds them.
constexpr int64_t linear_scratch_bytes(int64_t rows, int64_t in_size) {
  const int64_t block_bytes = kMaxBlockRows * padded_inputs(in_size) * 4;
  const int64_t most = kPassBytes > block_bytes ? kPassBytes : block_bytes;
  const int64_t bytes = rows * padded_inputs(in_size) * 4;
  return bytes <= kStackInputBytes ? 0 : (bytes < most ? bytes : most);
}

}  // namespace llmcore::cpu
