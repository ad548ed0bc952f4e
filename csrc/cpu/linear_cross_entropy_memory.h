// Where the parts of one chunk of tokens lie in the scratch of linear_cross_entropy.
#pragma once

#include "cpu/linear_cross_entropy_plan.h"
#include "cpu/linear_cross_entropy_tiles.h"
#include "ops/linear_cross_entropy.h"

namespace llmcore::cpu::LLMCORE_ISA::lce {

constexpr float kInfinity = __builtin_inff();
constexpr int64_t kSliceRows = kLceSliceRows;
constexpr int64_t kTile = kSliceRows * kStride;  // gradient of a slice by two blocks
constexpr int64_t kStripeBlocks = kLceStripe / kBlock;
constexpr int64_t kStripeTiles = kStripeBlocks / 2;
constexpr int kVectors = kBlock / kWidth;

template <class Math>
struct ChunkMemory {
  typedef typename Math::Element T;

  ChunkMemory(const LinearCrossEntropyArgs& args, const LcePlan& plan, int64_t first)
      : args_(args),
        plan_(plan),
        first_(first),
        rows_(args.rows - first < plan.chunk_rows ? args.rows - first : plan.chunk_rows),
        num_blocks_(lce_divide_up(rows_, kBlock)),
        words_(words_of<Math>(args.width)) {
    const LceLayout at = lce_layout(plan, args.dtype);
    char* scratch = static_cast<char*>(args.scratch);
    logits_ = reinterpret_cast<T*>(scratch + at.logits);
    stats_ = reinterpret_cast<float*>(scratch + at.stats);
    tokens_ = reinterpret_cast<float*>(scratch + at.tokens);
    columns_ = reinterpret_cast<float*>(scratch + at.columns);
    panels_ = reinterpret_cast<float*>(scratch + at.panels);
    partial_ = reinterpret_cast<float*>(scratch + at.partial);
  }

  enum Stat { kMax, kExps, kValues };
  enum Field { kLse, kScale, kUniform, kHit, kKeep, kNumFields };
  static_assert(kNumFields == kLceTokenFields);

  int64_t slice_rows(int64_t slice) const {
    return plan_.slice_begin(slice + 1) - plan_.slice_begin(slice);
  }
  int64_t block_tokens(int64_t block) const {
    const int64_t left = rows_ - block * kBlock;
    return left < kBlock ? left : kBlock;
  }
  int64_t panel_cols(int64_t panel) const {
    const int64_t left = args_.width - panel * kBlock;
    return left < kBlock ? left : kBlock;
  }
  const T* hidden() const { return static_cast<const T*>(args_.hidden) + first_ * args_.width; }
  const T* weight_of(int64_t slice) const {
    return static_cast<const T*>(args_.weight) + plan_.slice_begin(slice) * args_.width;
  }
  T* logits_of(int64_t slice, int64_t block) const {
    return logits_ + (slice * num_blocks_ + block) * kSliceRows * kBlock;
  }
  float* stat(Stat stat, int64_t slice, int64_t token) const {
    return stats_ + (stat * plan_.num_slices + slice) * plan_.chunk_rows + token;
  }
  float* field(Field field, int64_t token) const {
    return tokens_ + field * plan_.chunk_rows + token;
  }
  float* partial(int64_t stripe, int64_t group, int64_t panel) const {
    const int64_t at = (stripe * plan_.num_groups + group) * plan_.num_panels() + panel;
    return partial_ + at * kLceStripe * kBlock;
  }

  const LinearCrossEntropyArgs& args_;
  const LcePlan& plan_;
  int64_t first_;  // token
  int64_t rows_;
  int64_t num_blocks_;
  int64_t words_;  // of a row of hidden or of the weight
  T* logits_;
  float* stats_;
  float* tokens_;
  float* columns_;
  float* panels_;
  float* partial_;
};

}  // namespace llmcore::cpu::LLMCORE_ISA::lce
