// See ops/linear.h.
//
// Ladder: `bench_linear --threads 1` of benchmarks/cpp on an AMD EPYC (Zen 4, 32 MiB L3,
// avx512_bf16), the thread's CPU time on a busy machine; % of the limit timed in the same rounds:
// FMA 117 GFLOP/s, bfloat16 dot 234, read 13-22 GB/s. I = 4096; M = 1 and 8 with 64 MiB of weight.
//   1. 6x64 tiles, no software prefetch: 98 % of FMA on warm chunks, but with weights in memory
//      bfloat16 M = 256 has 86 %, M = 8 63 % of read: tiles wait for the first touch of a chunk
//   2. 12x32 tiles, half a panel at a time: float32 M = 256 83 %, M = 8 58-66 % of read (every
//      other line); int8 without unpacking gains. Dropped.
//   3. 6x64, each tile fetches its share of the next chunk into L1: bfloat16 M = 256 95 %, float32
//      88-93 %, but M = 8 still 72-81 % of read: the miss buffers of L1 bound it
//   4. into L2 for up to 3 tiles: M = 8 100-110 % of read, M = 1 105-140 %
//   5. int8 unpacked to bfloat16 once per chunk: bfloat16 x M = 256 83 -> 91 %, float32 x 70 -> 90
//   %
//   6. all groups of a chunk inside the tile: int4/32 M = 1 9 -> 15 GB/s (float32 x), M = 256 84 %
//   7. sums in blocks of 64 or 128 inputs, for accuracy (one chain over 4096 erred 4 times as much
//      as PyTorch): float32 M = 256 92 -> 90 %, the rest as before               <- this version
// Bounds: M = 1 memory, but int4 with float32 x the unpacking (15 GB/s a thread); many rows the
// multipliers, for groups of 32 the 24 sums that go through memory every 32 inputs.
#include "ops/linear.h"

#include "cpu/isa_variant.h"
#include "cpu/linear_panel.h"
#include "cpu/linear_plan.h"
#include "cpu/vec.h"

namespace llmcore::cpu::LLMCORE_ISA {

namespace {

#if defined(__AVX512F__)
constexpr bool kHasLookup = true;
#else
constexpr bool kHasLookup = false;
#endif

constexpr int64_t kStreamAhead = 4096;
constexpr int64_t kUnpackedBytes = kChunkInputs * kPanelWidth * 2;

// --- x, repacked: per tile of rows, channel (or pair of channels) by row ------------------------

template <class T>
void repack_row(float* to, const T* x, int64_t in_size, int64_t stride) {
  int64_t i = 0;
  for (; i + kWidth <= in_size; i += kWidth) {
    const VecF v = load(x + i);
    if (stride == 1) {
      store(to + i, v);
    } else {
#pragma GCC unroll 16
      for (int lane = 0; lane < kWidth; ++lane) to[(i + lane) * stride] = v[lane];
    }
  }
  const VecF tail = load_tail(x + i, in_size - i);
  for (int64_t at = i; at < in_size; ++at) to[at * stride] = tail[at - i];
  for (i = in_size; i < padded_inputs(in_size); ++i) to[i * stride] = 0.0f;
}

#if defined(__AVX512BF16__)
// Pairs of bfloat16 for the dot instruction.
void repack_row(uint32_t* to, const BFloat16* x, int64_t in_size, int64_t stride) {
  const int64_t num_pairs = in_size / 2;
  for (int64_t i = 0; i < num_pairs; ++i) __builtin_memcpy(to + i * stride, x + 2 * i, 4);
  int64_t i = num_pairs;
  if (in_size % 2 != 0) to[i++ * stride] = x[in_size - 1].bits;
  for (; i < padded_inputs(in_size) / 2; ++i) to[i * stride] = 0;
}
#endif

template <class Format>
int64_t inputs_per_row(const PackedWeight& weight) {
  return padded_inputs(weight.in_size) / Format::kInputChannels;
}

// --- one block of rows times one panel
// -------------------------------------------------------------

template <class Format>
class Block {
 public:
  typedef typename Format::Input Input;

  Block(const PackedWeight& weight, const LinearPlan& plan, int64_t block, const Input* x)
      : weight_(weight),
        plan_(plan),
        first_tile_(plan.block_begin(block)),
        last_tile_(plan.block_begin(block + 1)),
        x_(x) {}

  int64_t first_row() const { return plan_.tile_begin(first_tile_); }
  int64_t num_rows() const { return plan_.tile_begin(last_tile_) - first_row(); }

  // c (rows of the block, kPanelWidth) = x W^T; scaled per group, not yet per channel.
  void multiply(int64_t panel, float* c) const {
    const int64_t num_tiles = last_tile_ - first_tile_;
    const int64_t num_steps = linear_num_steps(weight_.format, weight_.in_size);
    const int64_t step_bytes = linear_step_bytes(weight_.format);
    const int64_t step_size = linear_step_size(weight_.format);
    const int64_t chunk = divide_up(chunk_inputs(weight_, num_tiles), step_size);
    const char* data = static_cast<const char*>(weight_.data) + panel * num_steps * step_bytes;
    const bool unpacks = unpacks_chunks(weight_.format, num_tiles, kHasLookup);
    const int64_t block = block_inputs(weight_, Format::kInputChannels == 2);
    Steps steps{0, block / step_size, nullptr, weight_.group_size / block, true};
    if (weight_.group_size > 0) {
      steps.scales = weight_.scales +
                     panel * linear_num_groups(weight_.in_size, weight_.group_size) * kPanelWidth;
    }
    int64_t step = 0;
    do {
      steps.count = num_steps - step < chunk ? num_steps - step : chunk;
      steps.fresh = step == 0;
      const char* from = data + step * step_bytes;
      if (unpacks) {
        multiply_unpacked(from, step, steps, c);
      } else {
        const int64_t bytes = steps.count * step_bytes;
        const char* next = from + (num_tiles == 1 ? kStreamAhead : bytes);
        multiply_chunk<Format>(from, step, steps, next, bytes, c);
      }
      if (steps.scales != nullptr) {
        steps.scales += chunk * step_size / weight_.group_size * kPanelWidth;
      }
      step += chunk;
    } while (step < num_steps);
  }

 private:
  void multiply_unpacked(const char* from, int64_t step, const Steps& steps, float* c) const {
    if constexpr (Format::kIsInteger) {
      alignas(64) char unpacked[kUnpackedBytes];
      unpack<Format>(from, steps.count, unpacked);
      constexpr int64_t kPairs = Format::kInputs * Format::kInputChannels / 2;
      const int64_t bytes = steps.count * Format::kChannelBytes * kPanelWidth;
      const Steps pairs{steps.count * kPairs, steps.per_block * kPairs, steps.scales,
                        steps.blocks_per_scale, steps.fresh};
      multiply_chunk<typename Format::Unpacked>(unpacked, step * kPairs, pairs, from + bytes, bytes,
                                                c);
    }
  }

  // All tiles times the steps at `from`, which are those of the weight from `step` on. The tiles
  // meanwhile fetch `next_bytes` at `next`, each its share: the next chunk, or what a single tile
  // will stream through.
  template <class F>
  void multiply_chunk(const char* from, int64_t step, const Steps& steps, const char* next,
                      int64_t next_bytes, float* c) const {
    const int64_t num_tiles = last_tile_ - first_tile_;
    for (int64_t tile = first_tile_; tile < last_tile_; ++tile) {
      const int64_t row = plan_.tile_begin(tile) - first_row();
      const int rows = static_cast<int>(plan_.tile_begin(tile + 1) - plan_.tile_begin(tile));
      const Input* x = x_ + row * inputs_per_row<F>(weight_) + step * F::kInputs * rows;
      const int64_t passes = kPanelWidth / (tile_vectors(rows) * kWidth);
      const int64_t parts = num_tiles * passes, part = (tile - first_tile_) * passes;
      const int64_t share = steps.count > 0 ? divide_up(next_bytes, parts * steps.count) : 0;
      const int64_t pass = steps.count * share;
      Prefetch ahead{next + part * pass, share, share, pass, num_tiles > 3};
      if (num_tiles == 1) ahead = {next, share * passes, share, share, false};
      panel_product<F>(x, rows, from, steps, ahead, c + row * kPanelWidth);
    }
  }

  const PackedWeight& weight_;
  const LinearPlan& plan_;
  int64_t first_tile_;
  int64_t last_tile_;
  const Input* x_;  // of the block's first row
};

// y = c * scale + bias for the rows of a block, rounded to T; the scale is 1 unless per channel.
template <class T>
void write_block(const LinearArgs& args, int64_t first_row, int64_t num_rows, int64_t panel,
                 const float* c) {
  const PackedWeight& weight = args.weight;
  const int64_t first = panel * kPanelWidth;
  const int64_t width =
      weight.out_size - first < kPanelWidth ? weight.out_size - first : kPanelWidth;
  const bool is_scaled = linear_is_quantised(weight.format) && weight.group_size == 0;
  for (int64_t o = 0; o < width; o += kWidth) {
    const int64_t n = width - o < kWidth ? width - o : kWidth;
    const VecF scale = is_scaled
                           ? load(reinterpret_cast<const BFloat16*>(weight.scales + first + o))
                           : broadcast(1.0f);
    const VecF bias =
        args.bias == nullptr ? VecF{} : load_tail(static_cast<const T*>(args.bias) + first + o, n);
    T* y = static_cast<T*>(args.y) + first_row * weight.out_size + first + o;
    for (int64_t r = 0; r < num_rows; ++r) {
      const VecF value = fused_multiply_add(load(c + r * kPanelWidth + o), scale, bias);
      if (n == kWidth) {
        store(y + r * weight.out_size, value);
      } else {
        store_tail(y + r * weight.out_size, value, n);
      }
    }
  }
}

// --- the whole map
// ---------------------------------------------------------------------------------

template <class Format, class T>
void run(const LinearArgs& args, const ParallelFor& parallel_for) {
  typedef typename Format::Input Input;
  alignas(64) char on_stack[kStackInputBytes];
  const PackedWeight& weight = args.weight;
  const LinearPlan plan = linear_plan(args.rows, weight.in_size, kMaxRows);
  const int64_t num_panels = linear_num_panels(weight.out_size);
  const int64_t per_row = inputs_per_row<Format>(weight);
  Input* x = static_cast<Input*>(args.scratch == nullptr ? on_stack : args.scratch);
  for (int64_t pass = 0; pass < plan.num_passes; ++pass) {
    const int64_t first_block = plan.pass_begin(pass), last_block = plan.pass_begin(pass + 1);
    const int64_t first_tile = plan.block_begin(first_block);
    const int64_t first_row = plan.tile_begin(first_tile);
    const auto repack = [&](int64_t begin, int64_t end) {
      for (int64_t tile = begin; tile < end; ++tile) {
        const int64_t row = plan.tile_begin(tile), stop = plan.tile_begin(tile + 1);
        Input* to = x + (row - first_row) * per_row;
        for (int64_t r = row; r < stop; ++r) {
          repack_row(to + (r - row), static_cast<const T*>(args.x) + r * weight.in_size,
                     weight.in_size, stop - row);
        }
      }
    };
    parallel_for(first_tile, plan.block_begin(last_block), grain_tiles(weight.in_size, kMaxRows),
                 repack);
    const auto multiply = [&](int64_t begin, int64_t end) {
      alignas(64) float c[kMaxBlockRows * kPanelWidth] = {};
      for (int64_t item = begin; item < end; ++item) {
        const int64_t panel = item % num_panels, at = first_block + item / num_panels;
        const int64_t row = plan.tile_begin(plan.block_begin(at));
        const Block<Format> block(weight, plan, at, x + (row - first_row) * per_row);
        block.multiply(panel, c);
        write_block<T>(args, row, block.num_rows(), panel, c);
      }
    };
    const int64_t block_rows = divide_up(args.rows, plan.num_blocks);
    parallel_for(0, (last_block - first_block) * num_panels, grain_panels(weight, block_rows),
                 multiply);
  }
}

template <class T>
void run_fma(const LinearArgs& args, const ParallelFor& parallel_for) {
  switch (args.weight.format) {
    case WeightFormat::kFloat32:
      return run<Float32Fma, T>(args, parallel_for);
    case WeightFormat::kBFloat16:
      return run<BFloat16Fma, T>(args, parallel_for);
    case WeightFormat::kInt8:
      return run<Int8Fma, T>(args, parallel_for);
    default:
      return run<Int4Fma, T>(args, parallel_for);
  }
}

#if defined(__AVX512BF16__)
void run_dot(const LinearArgs& args, const ParallelFor& parallel_for) {
  switch (args.weight.format) {
    case WeightFormat::kBFloat16:
      return run<BFloat16Dot, BFloat16>(args, parallel_for);
    case WeightFormat::kInt8:
      return run<Int8Dot, BFloat16>(args, parallel_for);
    default:
      return run<Int4Dot, BFloat16>(args, parallel_for);
  }
}
#endif

}  // namespace

void linear(const LinearArgs& args, const ParallelFor& parallel_for) {
  if (args.dtype == DType::kFloat32) return run_fma<float>(args, parallel_for);
#if defined(__AVX512BF16__)
  if (args.bfloat16_dot && args.weight.format != WeightFormat::kFloat32) {
    return run_dot(args, parallel_for);
  }
#endif
  run_fma<BFloat16>(args, parallel_for);
}

}  // namespace llmcore::cpu::LLMCORE_ISA
