// See ops/linear_cross_entropy.h.
//
// Ladder: `bench_linear_cross_entropy --threads 1` of benchmarks/cpp on an AMD EPYC (Zen 4, 32 MiB
// L3, avx512_bf16) that other processes used too, CPU time of one thread; pass `train`, % of FMA
// 117 GFLOP/s or bfloat16 dot 235.
//   1. PyTorch's three matrix products over at most 4 chunks of tokens: 0.95 to 1.56 times the
//      speed of F.cross_entropy(F.linear) in float32; at odd widths the gradients depended on the
//      number of threads
//   2. logits transposed, 6x64 tiles that read the left operand in place, chains of 64 steps:
//      512x192x2048 float32 80 %, bfloat16 78 %; 1000x1000x1000 78 % and 73 %
//   3. no products with padding, chains of 128: 1000x1000x1000 80 to 83 % and 72 %, 512x192x2048
//      79 % and 76 to 81 %                                                    <- this version
// Not taken: slices of 192 rows in bfloat16, so that dhidden sums 96 words a chain: no faster.
// Bounds: inside a tile the multipliers. About 15 % of the time passes outside of tiles (profiled
// at both shapes): exponentials, the gradient's second computation for dhidden, and where V is
// small packing hidden, adding partial gradients and the page faults of fresh memory.
#include "ops/linear_cross_entropy.h"

#include "cpu/cross_entropy_math.h"
#include "cpu/isa_variant.h"
#include "cpu/linear_cross_entropy_memory.h"
#include "cpu/scratch.h"

namespace llmcore::cpu::LLMCORE_ISA {

namespace lce {

namespace {

// One chunk of tokens.
template <class Math>
class Chunk : ChunkMemory<Math> {
 public:
  using Memory = ChunkMemory<Math>;
  using Memory::Memory;

  void run(const ParallelFor& parallel_for) {
    const auto each = [&](int64_t count, auto work) {
      parallel_for(0, count, 1, [&](int64_t begin, int64_t end) {
        for (int64_t item = begin; item < end; ++item) work(item);
      });
    };
    const bool has_gradient = args_.dlosses != nullptr;
    each(num_blocks_, [&](int64_t block) { turn_hidden(block); });
    each(plan_.num_slices, [&](int64_t slice) { find_logits(slice); });
    each(num_blocks_, [&](int64_t block) { find_losses(block); });
    if (has_gradient && (args_.dweight != nullptr || args_.dbias != nullptr)) {
      each(plan_.num_panels(), [&](int64_t panel) { pack_hidden(panel); });
      each(plan_.num_slices, [&](int64_t slice) { find_dweight(slice); });
    }
    if (has_gradient && args_.dhidden != nullptr) {
      const int64_t stripes = lce_divide_up(num_blocks_, kStripeBlocks);
      each(stripes * plan_.num_groups,
           [&](int64_t item) { find_partial(item / plan_.num_groups, item % plan_.num_groups); });
      each(num_blocks_, [&](int64_t block) { sum_partials(block); });
    }
  }

 private:
  using Memory::args_, Memory::plan_, Memory::first_, Memory::rows_, Memory::num_blocks_,
      Memory::words_, Memory::columns_, Memory::panels_, Memory::slice_rows, Memory::block_tokens,
      Memory::panel_cols, Memory::hidden, Memory::weight_of, Memory::logits_of, Memory::stat,
      Memory::field, Memory::partial, Memory::kMax, Memory::kExps, Memory::kValues, Memory::kLse,
      Memory::kScale, Memory::kUniform, Memory::kHit, Memory::kKeep, Memory::kNumFields;
  using typename Memory::Field;
  using typename Memory::T;

  // --- logits and losses -------------------------------------------------------------------------

  void turn_hidden(int64_t block) const {
    pack_turned<Math>(hidden() + block * kBlock * args_.width, block_tokens(block), args_.width,
                      columns_ + block * words_ * kBlock);
  }

  // The slice's rows of the weight as left operand, in place where its elements are words.
  Left weight_rows(int64_t slice, float* copy) const {
    constexpr bool kAreWords = sizeof(T) * Math::kDepth == sizeof(float);
    const T* from = weight_of(slice);
    if (kAreWords && args_.width % Math::kDepth == 0) {
      return {reinterpret_cast<const char*>(from), words_ * 4, 4};
    }
    for (int64_t r = 0; r < slice_rows(slice); ++r) {
      row_as_words<Math>(from + r * args_.width, args_.width, copy + r * words_);
    }
    return {reinterpret_cast<const char*>(copy), words_ * 4, 4};
  }

  void find_logits(int64_t slice) const {
    const int64_t rows = slice_rows(slice), row_bytes = args_.width * sizeof(T);
    float* c = thread_floats(Scratch::kWorker, kSliceRows * (kBlock + words_));
    const Left left = weight_rows(slice, c + kSliceRows * kBlock);
    const int64_t chains = words_ > kSteps ? lce_divide_up(words_, kSteps) : 1;
    const int64_t tiles = lce_divide_up(rows, kTileRows);
    const bool is_last = slice + 1 == plan_.num_slices;
    Fetcher next{reinterpret_cast<const char*>(weight_of(slice + 1)),
                 is_last ? 0 : slice_rows(slice + 1) * row_bytes / 64, 64, 64,
                 num_blocks_ * chains * tiles};
    for (int64_t block = 0; block < num_blocks_; ++block) {
      const float* right = columns_ + block * words_ * kBlock;
      for (int64_t chain = 0; chain < chains; ++chain) {
        const int64_t k = chain * kSteps, steps = words_ - k < kSteps ? words_ - k : kSteps;
        const Left from{left.words + k * 4, left.row_bytes, left.step_bytes};
        product<Math>(rows, block_tokens(block), from, right + k * kBlock, steps, chain == 0, next,
                      c);
      }
      finish_logits(slice, block, c);
    }
  }

  // Adds the bias, rounds, keeps the logits and the statistics of their softmax.
  void finish_logits(int64_t slice, int64_t block, float* c) const {
    const int64_t rows = slice_rows(slice), first = plan_.slice_begin(slice);
    T* logits = logits_of(slice, block);
    VecF max[kVectors], exps[kVectors] = {}, values[kVectors] = {};
    for (VecF& lane : max) lane = broadcast(kLowest);
    for (int64_t r = 0; r < rows; ++r) {
      const T* bias = static_cast<const T*>(args_.bias) + first + r;
      const VecF added = args_.bias == nullptr ? VecF{} : broadcast(load_tail(bias, 1)[0]);
      for (int v = 0; v < kVectors; ++v) {
        float* at = c + r * kBlock + v * kWidth;
        VecF x = rounded<T>(load(at) + added);
        store(logits + r * kBlock + v * kWidth, x);
        if (args_.softcap > 0.0f) x = capped(x, args_.softcap);
        store(at, x);
        max[v] = maximum(max[v], x);
      }
    }
    for (int64_t r = 0; r < rows; ++r) {
      for (int v = 0; v < kVectors; ++v) {
        const VecF x = load(c + r * kBlock + v * kWidth);
        exps[v] += exp_of_shifted(x - max[v]);
        values[v] += x;
      }
    }
    for (int v = 0; v < kVectors; ++v) {
      const int64_t token = block * kBlock + v * kWidth;
      store(stat(kMax, slice, token), max[v]);
      store(stat(kExps, slice, token), exps[v]);
      store(stat(kValues, slice, token), values[v]);
    }
  }

  void find_losses(int64_t block) const {
    for (int64_t at = 0; at < kBlock; at += kWidth) {
      const int64_t token = block * kBlock + at;
      VecF max = broadcast(kLowest);
      for (int64_t s = 0; s < plan_.num_slices; ++s) max = maximum(max, load(stat(kMax, s, token)));
      double exps[kWidth] = {}, values[kWidth] = {};
      for (int64_t s = 0; s < plan_.num_slices; ++s) {
        const VecF shrink = exp_of_shifted(load(stat(kMax, s, token)) - max);
        const VecF terms = load(stat(kExps, s, token)), sum = load(stat(kValues, s, token));
        for (int i = 0; i < kWidth; ++i) {
          exps[i] += static_cast<double>(terms[i]) * shrink[i];
          values[i] += sum[i];
        }
      }
      for (int i = 0; i < kWidth; ++i) {
        if (token + i < rows_) {
          write_loss(token + i, max[i], exps[i], values[i]);
        } else {
          for (int of = 0; of < kNumFields; ++of) *field(static_cast<Field>(of), token + i) = 0.0f;
        }
      }
    }
  }

  float logit(int64_t token, int64_t vocab) const {
    int64_t slice = vocab * plan_.num_slices / plan_.vocab_size;
    while (plan_.slice_begin(slice + 1) <= vocab) ++slice;
    const int64_t row = vocab - plan_.slice_begin(slice);
    return load_tail(logits_of(slice, token / kBlock) + row * kBlock + token % kBlock, 1)[0];
  }

  bool has_nan(int64_t token) const {
    for (int64_t v = 0; v < plan_.vocab_size; ++v) {
      const float x = logit(token, v);
      if (x != x) return true;
    }
    return false;
  }

  void write_loss(int64_t token, float max, double exps, double values) const {
    const int64_t label = args_.labels[first_ + token];
    const bool keep = label != args_.ignore_index;
    // A logit of +infinity makes inf - inf; only a NaN makes its token's lse one.
    const bool infinite = keep && exps != exps && !has_nan(token);
    const double lse = infinite ? static_cast<double>(kInfinity) : max + __builtin_log(exps);
    const double smoothing = args_.label_smoothing, vocab = static_cast<double>(plan_.vocab_size);
    double loss = 0.0;
    if (keep) {
      VecF target = broadcast(logit(token, label));
      if (args_.softcap > 0.0f) target = capped(target, args_.softcap);
      loss = (1.0 - smoothing) * (lse - static_cast<double>(target[0]));
      if (smoothing > 0.0) loss += smoothing * (lse - values / vocab);
      if (args_.z_loss > 0.0f) loss += args_.z_loss * lse * lse;
    }
    args_.losses[first_ + token] = static_cast<float>(loss);
    const float dloss = args_.dlosses != nullptr ? args_.dlosses[first_ + token] : 0.0f;
    const auto rounded_lse = static_cast<float>(lse);
    *field(kLse, token) = rounded_lse;
    *field(kScale, token) =
        args_.z_loss > 0.0f ? dloss * (1.0f + 2.0f * args_.z_loss * rounded_lse) : dloss;
    *field(kUniform, token) = dloss * args_.label_smoothing / static_cast<float>(plan_.vocab_size);
    *field(kHit, token) = dloss * (1.0f - args_.label_smoothing);
    *field(kKeep, token) = keep ? 1.0f : 0.0f;
  }

  // --- gradients ---------------------------------------------------------------------------------

  LogitGradient gradient_at(int64_t token) const {
    return {load(field(kLse, token)), load(field(kScale, token)), load(field(kUniform, token)),
            args_.softcap};
  }

  // Gradient of the logits of a slice by a block, float32 rows kStride apart.
  void find_gradient(int64_t slice, int64_t block, float* to) const {
    if (args_.softcap > 0.0f) return find_gradient<true>(slice, block, to);
    find_gradient<false>(slice, block, to);
  }

  template <bool kCap>
  void find_gradient(int64_t slice, int64_t block, float* to) const {
    const T* logits = logits_of(slice, block);
    const int64_t rows = slice_rows(slice), first_token = block * kBlock;
    for (int64_t j = 0; j < kBlock; j += kWidth) {
      const LogitGradient of = gradient_at(first_token + j);
      const VecI keep = load(field(kKeep, first_token + j)) != 0.0f;
      for (int64_t r = 0; r < rows; ++r) {
        const VecF dx = gradient_of<kCap>(of, load(logits + r * kBlock + j), VecF{});
        store(to + r * kStride + j, keep ? dx : VecF{});
      }
    }
    for (int64_t i = 0; i < block_tokens(block); ++i) {
      const int64_t label = args_.labels[first_ + first_token + i];
      const int64_t row = label - plan_.slice_begin(slice);
      if (label == args_.ignore_index || row < 0 || row >= rows) continue;
      const LogitGradient of = gradient_at(first_token + i / kWidth * kWidth);
      const VecF target = broadcast(*field(kHit, first_token + i));
      const VecF x = load(logits + row * kBlock + i / kWidth * kWidth);
      to[row * kStride + i] = gradient_of<kCap>(of, x, target)[i % kWidth];
    }
  }

  void pack_hidden(int64_t panel) const {
    const int64_t words = words_of<Math>(rows_);
    pack_panel<Math>(hidden(), rows_, args_.width, panel * kBlock, words,
                     panels_ + panel * words * kBlock);
  }

  // The gradient of a slice by a stripe lies in tiles of two blocks side by side.
  static int64_t place_of(int64_t block) { return block / 2 * kTile + block % 2 * kBlock; }

  void find_dweight(int64_t slice) const {
    const int64_t rows = slice_rows(slice), row_bytes = args_.width * sizeof(T);
    float* gradient = thread_floats(
        Scratch::kWorker, (kStripeTiles + 1) * kTile + plan_.num_panels() * kSliceRows * kBlock);
    float* sums = gradient + (kStripeTiles + 1) * kTile;
    T* out = static_cast<T*>(args_.dweight) + plan_.slice_begin(slice) * args_.width;
    const int64_t words = words_of<Math>(rows_), stripe_words = kLceStripe / Math::kDepth;
    Fetcher ahead{
        reinterpret_cast<const char*>(out), rows * row_bytes / 64, 64, 64,
        plan_.num_panels() * lce_divide_up(words, kSteps) * lce_divide_up(rows, kTileRows)};
    for (int64_t word = 0; word < words; word += stripe_words) {
      const int64_t past = words - word < stripe_words ? words : word + stripe_words;
      find_stripe(slice, word * Math::kDepth / kBlock, gradient);
      for (int64_t panel = 0; args_.dweight != nullptr && panel < plan_.num_panels(); ++panel) {
        for (int64_t k = word; k < past; k += kSteps) {
          const float* left = gradient + (k - word) / kSteps * kTile;
          product<Math>(
              rows, panel_cols(panel), {reinterpret_cast<const char*>(left), kStride * 4, 4},
              panels_ + (panel * words + k) * kBlock, past - k < kSteps ? past - k : kSteps, k == 0,
              ahead, sums + panel * kSliceRows * kBlock);
        }
      }
    }
    if (args_.dweight != nullptr) write_dweight(slice, sums, out);
  }

  // The gradient of a slice by a stripe as left operand of sums over tokens: tiles of kSteps words.
  void find_stripe(int64_t slice, int64_t first_block, float* to) const {
    constexpr bool kIsFloat = sizeof(T) == sizeof(float);
    constexpr int64_t kPerTile = kSteps * Math::kDepth / kBlock;
    for (int64_t at = 0; at < kStripeBlocks && first_block + at < num_blocks_; ++at) {
      float* row = to + at / kPerTile * kTile + at % kPerTile * kBlock / Math::kDepth;
      float* gradient = kIsFloat ? row : to + kStripeTiles * kTile;
      find_gradient(slice, first_block + at, gradient);
      if (args_.dbias != nullptr) add_bias(slice, gradient);
      if constexpr (!kIsFloat) as_rows<Math>(gradient, slice_rows(slice), row);
    }
  }

  void add_bias(int64_t slice, const float* gradient) const {
    float* to = args_.dbias + plan_.slice_begin(slice);
    for (int64_t r = 0; r < slice_rows(slice); ++r) {
      VecF sum = {};
      for (int64_t j = 0; j < kBlock; j += kWidth) sum += load(gradient + r * kStride + j);
      to[r] += sum_lanes(sum);
    }
  }

  void write_dweight(int64_t slice, const float* sums, T* out) const {
    for (int64_t r = 0; r < slice_rows(slice); ++r) {
      T* to = out + r * args_.width;
      for (int64_t c = 0; c < args_.width; c += kWidth) {
        const int64_t n = args_.width - c < kWidth ? args_.width - c : kWidth;
        const float* from = sums + (c / kBlock * kSliceRows + r) * kBlock + c % kBlock;
        VecF sum = load(from);
        if (first_ > 0) sum += n == kWidth ? load(to + c) : load_tail(to + c, n);
        if (n == kWidth) {
          store(to + c, sum);
        } else {
          store_tail(to + c, sum, n);
        }
      }
    }
  }

  // The part of dhidden of a stripe of tokens that a group of slices gives.
  void find_partial(int64_t stripe, int64_t group) const {
    float* gradient = thread_floats(Scratch::kWorker, kStripeTiles * kTile + kSliceRows * kBlock);
    float* right = gradient + kStripeTiles * kTile;
    const int64_t first_block = stripe * kStripeBlocks;
    const int64_t past =
        num_blocks_ - first_block < kStripeBlocks ? num_blocks_ : first_block + kStripeBlocks;
    const int64_t first_slice = plan_.group_begin(group);
    for (int64_t slice = first_slice; slice < plan_.group_begin(group + 1); ++slice) {
      const int64_t rows = slice_rows(slice), steps = words_of<Math>(rows);
      for (int64_t block = first_block; block < past; ++block) {
        float* at = gradient + place_of(block - first_block);
        find_gradient(slice, block, at);
        as_columns<Math>(at, rows);
      }
      for (int64_t panel = 0; panel < plan_.num_panels(); ++panel) {
        const int64_t col = panel * kBlock;
        pack_panel<Math>(weight_of(slice), rows, args_.width, col, steps, right);
        Fetcher next =
            next_panel(slice, panel, (past - first_block) * lce_divide_up(kBlock, kTileRows));
        for (int64_t block = first_block; block < past; ++block) {
          const int64_t at = block - first_block;
          product<Math>(block_tokens(block), panel_cols(panel),
                        {reinterpret_cast<const char*>(gradient + place_of(at)), 4, kStride * 4},
                        right, steps, slice == first_slice, next,
                        partial(stripe, group, panel) + at * kBlock * kBlock);
        }
      }
    }
  }

  // What the next panel of the weight will read.
  Fetcher next_panel(int64_t slice, int64_t panel, int64_t parts) const {
    const int64_t row_bytes = args_.width * sizeof(T), panel_bytes = kBlock * sizeof(T);
    const bool same = panel + 1 < plan_.num_panels();
    const int64_t from = same ? slice : slice + 1;
    const char* first = reinterpret_cast<const char*>(weight_of(from));
    return {first + (same ? (panel + 1) * panel_bytes : 0),
            from < plan_.num_slices ? slice_rows(from) : 0, panel_bytes, row_bytes, parts};
  }

  void sum_partials(int64_t block) const {
    const int64_t stripe = block / kStripeBlocks;
    for (int64_t i = 0; i < block_tokens(block); ++i) {
      const int64_t token = block * kBlock + i;
      T* to = static_cast<T*>(args_.dhidden) + (first_ + token) * args_.width;
      for (int64_t c = 0; c < args_.width; c += kWidth) {
        const int64_t n = args_.width - c < kWidth ? args_.width - c : kWidth;
        VecF sum = {};
        for (int64_t group = 0; group < plan_.num_groups; ++group) {
          sum +=
              load(partial(stripe, group, c / kBlock) + token % kLceStripe * kBlock + c % kBlock);
        }
        store_tail(to + c, sum, n);
      }
    }
  }
};

template <class Math>
void run(const LinearCrossEntropyArgs& args, const ParallelFor& parallel_for) {
  const LcePlan plan = lce_plan(args.rows, args.width, args.vocab_size);
  for (int64_t first = 0; first < args.rows; first += plan.chunk_rows) {
    Chunk<Math>(args, plan, first).run(parallel_for);
  }
}

}  // namespace

}  // namespace lce

void linear_cross_entropy(const LinearCrossEntropyArgs& args, const ParallelFor& parallel_for) {
  if (args.dtype == DType::kFloat32) return lce::run<lce::FloatMath<float>>(args, parallel_for);
#if defined(__AVX512BF16__)
  if (args.bfloat16_dot) return lce::run<lce::PairMath>(args, parallel_for);
#endif
  lce::run<lce::FloatMath<BFloat16>>(args, parallel_for);
}

}  // namespace llmcore::cpu::LLMCORE_ISA
