// How `linear_cross_entropy` splits its work: pure functions of the shape, so that no sum depends
// on the threads.
//
// Tokens are cut into chunks (whose logits are in memory), chunks into stripes (whose gradients of
// one slice stay in the second-level cache), stripes into blocks of 64 (the lanes of a tile). The
// vocabulary is cut into slices, slices are gathered in groups with a partial dhidden each.
#pragma once

#include "ops/linear_cross_entropy.h"

namespace llmcore::cpu {

constexpr int64_t kLceBlock = 64;      // tokens of a block, and columns of a panel
constexpr int64_t kLceStripe = 256;    // tokens
constexpr int64_t kLceSliceRows = 96;  // rows of the weight, at most
constexpr int64_t kLceMaxChunks = 4;   // each adds once to dweight
constexpr int64_t kLceMaxGroups = 16;
constexpr int64_t kLceMinGroups = 4;

constexpr int64_t lce_divide_up(int64_t a, int64_t b) {
  return (a + b - 1) / b;
}

struct LcePlan {
  int64_t rows;
  int64_t width;
  int64_t vocab_size;
  int64_t chunk_rows;  // a multiple of kLceBlock
  int64_t num_slices;
  int64_t num_groups;

  constexpr int64_t slice_begin(int64_t slice) const { return vocab_size * slice / num_slices; }
  constexpr int64_t group_begin(int64_t group) const { return num_slices * group / num_groups; }
  constexpr int64_t num_panels() const { return lce_divide_up(width, kLceBlock); }
  constexpr int64_t max_stripes() const { return lce_divide_up(chunk_rows, kLceStripe); }
};

constexpr LcePlan lce_plan(int64_t rows, int64_t width, int64_t vocab_size) {
  const int64_t even = lce_divide_up(rows, kLceMaxChunks);
  const int64_t most = even < kLceStripe ? kLceStripe : even;
  const int64_t chunk = rows < most ? rows : most;
  // Multiples of 4 give 2 and 4 threads the same work.
  const int64_t slices = lce_divide_up(vocab_size, 4 * kLceSliceRows) * 4;
  // Partial gradients of hidden take at most an eighth of the logits' memory, or 4 of them.
  const int64_t affordable = vocab_size / (8 * (width > 0 ? width : 1)) / 4 * 4;
  const int64_t groups = affordable > kLceMaxGroups   ? kLceMaxGroups
                         : affordable < kLceMinGroups ? kLceMinGroups
                                                      : affordable;
  return {rows,       width,
          vocab_size, lce_divide_up(chunk, kLceBlock) * kLceBlock,
          slices,     groups < slices ? groups : slices};
}

// Where things lie in the call's scratch memory, in bytes; every part starts on a cache line.
struct LceLayout {
  int64_t logits;   // [slice][block][row of the slice][64 tokens] of the dtype
  int64_t stats;    // [max, sum of exponentials, sum of logits][slice][token] float32
  int64_t tokens;   // [what a token's gradient needs][token] float32
  int64_t columns;  // hidden as right operand of the logits: [block][word][64 tokens]
  int64_t panels;   // ... of dweight: [panel][word][64 channels]
  int64_t partial;  // [stripe][group][panel][256 tokens][64 channels] float32
  int64_t total;
};

constexpr int64_t kLceStats = 3;
constexpr int64_t kLceTokenFields = 5;

constexpr LceLayout lce_layout(const LcePlan& plan, DType dtype) {
  const int64_t tokens = plan.chunk_rows, panels = plan.num_panels();
  const int64_t logits = plan.num_slices * kLceSliceRows * tokens * element_size(dtype);
  const int64_t stats = kLceStats * plan.num_slices * tokens * 4;
  const int64_t fields = kLceTokenFields * tokens * 4;
  const int64_t packed = panels * kLceBlock * tokens * 4;
  const int64_t partial =
      plan.max_stripes() * plan.num_groups * panels * kLceStripe * kLceBlock * 4;
  LceLayout at{};
  at.stats = at.logits + logits;
  at.tokens = at.stats + stats;
  at.columns = at.tokens + fields;
  at.panels = at.columns + packed;
  at.partial = at.panels + packed;
  at.total = at.partial + partial;
  return at;
}

}  // namespace llmcore::cpu
