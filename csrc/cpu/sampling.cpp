// See ops/sampling.h.
//
// Ladder: `bench_sampling --threads 1 --filter 8x128256` of benchmarks/cpp on an AMD EPYC (Zen 4,
// avx512_bf16, 1 MiB L2), one thread's CPU time a row of 128,256 float32 logits of standard
// deviation 2, other work on the machine. Row 1 is the wall time of a call from Python on 8 rows.
//   1. e^x in base e with Cody-Waite, keys in arrays, candidates compacted by scalar code
//        plain 150 us   top-k 50 34 us   top-k V/20 250 us   top-p 0.9 570 us   typical 0.9 1450 us
//   2. 2^x (four multiplications fewer), eight chains kept in step, keys recomputed from scores,
//      compaction by vector compress, weights of the first pass kept for top-p  <- this version
//        greedy 23   plain 93   top-k 50 27   top-k V/20 134   top-p 0.9 240   top-p 0.999 366
//        min-p 0.05 41   typical 0.9 490   top-k 50, top-p, min-p, typical, penalties over
//        512 tokens and 20 log-probabilities 188 us; bfloat16 the same
// Measured apart: the weighing pass 0.62 ns a score, the scatter into bins 0.55 ns. So `plain` is
// the weighing and top-p and typical add the scatter. Guessed, not tried: a float32 exponential
// would halve the weighing but be another definition; binning inside the weighing pass would save
// top-p its second look where it keeps most of the vocabulary and cost more where it keeps little,
// as under a trained model.
#include "ops/sampling.h"

#include "cpu/isa_variant.h"
#include "cpu/sampling_scores.h"
#include "cpu/scratch.h"
#include "cpu/tuning.h"

namespace llmcore::cpu::LLMCORE_ISA {

namespace {

constexpr int64_t kBlock = 512;  // scores per partial sum of an untruncated row
constexpr double kLn2 = 0.69314718055994530942;
constexpr double kTwo53 = 9007199254740992.0;
__extension__ typedef unsigned __int128 Wide;

struct Scratch {
  float* scores;
  uint64_t* block_sums;
  uint32_t* counts;
  Candidates found;
};

Scratch scratch_for(int64_t vocab) {
  const int64_t room = (vocab + 2 * kStep + 15) / 16 * 16;
  const int64_t num_blocks = (vocab + kBlock - 1) / kBlock;
  Scratch s;
  s.found.weights = reinterpret_cast<uint64_t*>(
      thread_scratch(cpu::Scratch::kWorker, room * 24 + num_blocks * 8));
  s.found.ids = reinterpret_cast<uint32_t*>(s.found.weights + room);
  s.found.active = s.found.ids + room;
  s.found.scores = reinterpret_cast<float*>(s.found.active + room);
  s.scores = s.found.scores + room;
  s.block_sums = reinterpret_cast<uint64_t*>(s.scores + room);
  s.found.n = 0;
  s.counts = thread_zeros(vocab);
  return s;
}

// One row on its way through the truncations: all of the vocabulary, or what has been found.
struct Row {
  const float* scores;
  int64_t vocab;
  Weighing weighing;
  SamplingParams params;
  uint64_t random;
  Scratch* scratch;
  bool is_cut;     // whether scratch->found holds the row
  uint64_t total;  // sum of weights, once known; 0 before
};

Weighing weighing_of(double top, double temperature, int64_t vocab) {
  const double inverse = 1.0 / temperature <= 1e300 ? 1.0 / temperature : 1e300;
  return {top, inverse, inverse * kLog2E, weight_bits(vocab)};
}

uint64_t sum_of(const uint64_t* weights, int64_t n) {
  uint64_t sum = 0;
  for (int64_t i = 0; i < n; ++i) sum += weights[i];
  return sum;
}

uint64_t sum_blocks(Row& row) {
  if (row.total > 0) return row.total;
  for (int64_t at = 0; at < row.vocab; at += kBlock) {
    const int64_t n = row.vocab - at < kBlock ? row.vocab - at : kBlock;
    const uint64_t sum = sum_weights(row.scores + at, n, row.weighing);
    row.scratch->block_sums[at / kBlock] = sum;
    row.total += sum;
  }
  return row.total;
}

// A score below every score of weight `least` or more, weights in units of 2^-bits; 0.5 is the
// smallest that rounds to 1. The margins exceed all rounding.
float bound_of_weight(const Row& row, double least) {
  const double d = __builtin_log(least) - static_cast<double>(row.weighing.bits) * kLn2 - 1e-3;
  const double bound = row.weighing.top + d * row.params.temperature;
  const double margin = 1e-6 * (bound < 0 ? -bound : bound);
  const double safe = bound - margin - 1e-30;
  return safe > -static_cast<double>(kLargest) ? static_cast<float>(safe) : -kLargest;
}

void find_from(Row& row, double least) {
  Candidates& found = row.scratch->found;
  gather(row.scores, row.vocab, bound_of_weight(row, least), found);
  write_weights(found.scores, found.n, row.weighing, found.weights);
  row.is_cut = true;
}

void keep_top_k(Row& row) {
  if (!(row.params.top_k > 0 && row.params.top_k < static_cast<double>(row.vocab))) return;
  Candidates& found = row.scratch->found;
  gather_top(row.scores, row.vocab, static_cast<int64_t>(row.params.top_k), found);
  write_weights(found.scores, found.n, row.weighing, found.weights);
  row.is_cut = true;
}

// ceil(fraction * total), at least 1; the fraction in units of 2^-53, rounded up.
uint64_t target_of(double fraction, uint64_t total) {
  const auto units = static_cast<uint64_t>(__builtin_ceil(fraction * kTwo53));
  const Wide product = static_cast<Wide>(units) * total + ((Wide{1} << 53) - 1);
  const auto target = static_cast<uint64_t>(product >> 53);
  return target > 0 ? target : 1;
}

// The scores that top-p may keep of the whole vocabulary; returns the sum that it must reach.
uint64_t find_top_p(Row& row) {
  Candidates& found = row.scratch->found;
  const uint64_t total = write_weights(row.scores, row.vocab, row.weighing, found.weights);
  const uint64_t target = target_of(row.params.top_p, total);
  // Scores of this weight or less sum to at most what top-p leaves out.
  const double spare = static_cast<double>(total - target) / static_cast<double>(row.vocab);
  const float bound = bound_of_weight(row, spare > 0.5 ? spare : 0.5);
  gather_with_weights(row.scores, row.vocab, bound, found);
  if (sum_of(found.weights, found.n) < target) find_from(row, 0.5);
  row.is_cut = true;
  return target;
}

void keep_top_p(Row& row) {
  if (!(row.params.top_p < 1)) return;
  Candidates& found = row.scratch->found;
  const uint64_t target =
      row.is_cut ? target_of(row.params.top_p, sum_of(found.weights, found.n)) : find_top_p(row);
  keep_prefix(
      ByScore{}, found,
      shortest_prefix(ByScore{}, found.scores, found.weights, found.n, target, found.active));
}

void keep_min_p(Row& row) {
  if (!(row.params.min_p > 0)) return;
  const double least =
      __builtin_ceil(row.params.min_p * static_cast<double>(int64_t{1} << row.weighing.bits));
  if (!row.is_cut) find_from(row, least - 0.5);
  keep_weights_from(row.scratch->found, static_cast<uint64_t>(least));
}

void keep_typical(Row& row) {
  if (!(row.params.typical_p < 1)) return;
  Candidates& found = row.scratch->found;
  if (!row.is_cut) find_from(row, 0.5);
  const uint64_t total = sum_of(found.weights, found.n);
  const uint64_t weighted =
      sum_weighted_exponents(found.scores, found.weights, found.n, row.weighing);
  const ByLikeness order{row.weighing, static_cast<double>(weighted) / static_cast<double>(total)};
  const uint64_t target = target_of(row.params.typical_p, total);
  const Prefix prefix =
      shortest_prefix(order, found.scores, found.weights, found.n, target, found.active);
  keep_prefix(order, found, prefix, 1);  // what has no weight takes no part in the prefix
}

// floor(u * total / 2^53)
uint64_t scaled_random(const Row& row, uint64_t total) {
  return static_cast<uint64_t>((static_cast<Wide>(row.random) * total) >> 53);
}

// The first index whose running sum exceeds `goal`, which is below the sum.
int64_t first_beyond(const uint64_t* weights, uint64_t goal) {
  int64_t i = 0;
  for (uint64_t passed = weights[0]; passed <= goal; passed += weights[i]) ++i;
  return i;
}

int64_t draw(Row& row) {
  Candidates& found = row.scratch->found;
  if (row.is_cut) {
    row.total = sum_of(found.weights, found.n);
    return found.ids[first_beyond(found.weights, scaled_random(row, row.total))];
  }
  uint64_t goal = scaled_random(row, sum_blocks(row));
  const uint64_t* sums = row.scratch->block_sums;
  const int64_t block = first_beyond(sums, goal), at = block * kBlock;
  for (int64_t b = 0; b < block; ++b) goal -= sums[b];
  const int64_t n = row.vocab - at < kBlock ? row.vocab - at : kBlock;
  write_weights(row.scores + at, n, row.weighing, found.weights);
  return at + first_beyond(found.weights, goal);
}

int64_t choose(Row& row) {
  if (row.weighing.top == -__builtin_inf()) return -1;
  if (row.params.temperature == 0) {
    return first_of(row.scores, row.vocab, static_cast<float>(row.weighing.top));
  }
  keep_top_k(row);
  keep_top_p(row);
  keep_min_p(row);
  keep_typical(row);
  return draw(row);
}

// --- log-probabilities -------------------------------------------------------------------------

// Sets the scores that were not kept to -inf.
void leave_kept(const Row& row, int64_t id, float* scores) {
  const Candidates& found = row.scratch->found;
  if (id >= 0 && row.params.temperature == 0) {
    for (int64_t j = 0; j < row.vocab; ++j) scores[j] = -__builtin_inff();
    scores[id] = static_cast<float>(row.weighing.top);
  } else if (row.is_cut) {
    for (int64_t j = 0; j < row.vocab; ++j) scores[j] = -__builtin_inff();
    for (int64_t i = 0; i < found.n; ++i) scores[found.ids[i]] = found.scores[i];
  }
}

struct LogSoftmax {
  Weighing weighing;
  double log_sum;  // of e^d

  float operator()(float score) const {
    if (score == -__builtin_inff()) return -__builtin_inff();
    const double d = (static_cast<double>(score) - weighing.top) * weighing.inverse_temperature;
    return static_cast<float>(d - log_sum);
  }
};

LogSoftmax log_softmax_of(const Weighing& weighing, uint64_t total) {
  const double unit = 1.0 / static_cast<double>(int64_t{1} << weighing.bits);
  return {weighing, __builtin_log(static_cast<double>(total) * unit)};
}

// 1 for the largest score; among equals the lowest id comes first.
int64_t rank_of(const float* scores, int64_t vocab, int64_t id) {
  const float score = scores[id];
  int64_t rank = 1;
  for (int64_t j = 0; j < id; ++j) rank += scores[j] >= score;
  for (int64_t j = id; j < vocab; ++j) rank += scores[j] > score;
  return rank;
}

// Sorts n packed keys upwards: heap sort, for any number without recursion.
void sort(uint64_t* keys, int64_t n) {
  const auto sift = [keys](int64_t root, int64_t end) {
    for (int64_t child = 2 * root + 1; child < end; child = 2 * root + 1) {
      if (child + 1 < end && keys[child + 1] > keys[child]) ++child;
      if (keys[root] >= keys[child]) return;
      const uint64_t larger = keys[child];
      keys[child] = keys[root];
      keys[root] = larger;
      root = child;
    }
  };
  for (int64_t root = n / 2 - 1; root >= 0; --root) sift(root, n);
  for (int64_t end = n - 1; end > 0; --end) {
    const uint64_t largest = keys[0];
    keys[0] = keys[end];
    keys[end] = largest;
    sift(0, end);
  }
}

// Upwards in this is downwards in score.
uint32_t descending_bits(float score) {
  uint32_t bits;
  __builtin_memcpy(&bits, &score, 4);
  if (score == 0) bits = 0;  // -0 equals 0
  return bits & 0x80000000u ? bits : ~(bits | 0x80000000u);
}

void write_top(const float* scores, int64_t vocab, int64_t k, const LogSoftmax& log_softmax,
               Candidates& found, int64_t* ids, float* logprobs) {
  if (k == 0) return;
  gather_top(scores, vocab, k, found);
  for (int64_t i = 0; i < found.n; ++i) {
    found.weights[i] = static_cast<uint64_t>(descending_bits(found.scores[i])) << 32 | found.ids[i];
  }
  sort(found.weights, found.n);
  for (int64_t i = 0; i < found.n; ++i) {
    ids[i] = static_cast<int64_t>(found.weights[i] & 0xFFFFFFFFu);
    logprobs[i] = log_softmax(scores[ids[i]]);
  }
  for (int64_t i = found.n, j = 0; i < k; ++j) {
    if (scores[j] != -__builtin_inff()) continue;
    ids[i] = j;
    logprobs[i++] = -__builtin_inff();
  }
}

void write_logprobs(const SamplingArgs& args, int64_t n, Row& row, int64_t id, bool is_edited) {
  Scratch& scratch = *row.scratch;
  if (args.processed_logprobs) {
    leave_kept(row, id, scratch.scores);
    if (row.params.temperature == 0) row.weighing = weighing_of(row.weighing.top, 1.0, row.vocab);
    const double top = largest_of(row.scores, row.vocab);  // typical may have dropped the likeliest
    if (row.is_cut || row.params.temperature == 0 || top != row.weighing.top) row.total = 0;
    row.weighing.top = top;
  } else {
    if (is_edited) {
      copy_scores(args, n, scratch.scores);
      row.scores = scratch.scores;
    }
    if (is_edited || row.is_cut || row.params.temperature != 1) row.total = 0;
    row.weighing = weighing_of(largest_of(row.scores, row.vocab), 1.0, row.vocab);
  }
  if (row.weighing.top != -__builtin_inf()) sum_blocks(row);
  const LogSoftmax log_softmax = log_softmax_of(row.weighing, row.total);
  args.logprobs[n] = id < 0 ? -__builtin_inff() : log_softmax(row.scores[id]);
  args.ranks[n] = id < 0 ? 0 : rank_of(row.scores, row.vocab, id);
  write_top(row.scores, row.vocab, args.num_logprobs, log_softmax, scratch.found,
            args.top_ids + n * args.num_logprobs, args.top_logprobs + n * args.num_logprobs);
}

// --- one row -----------------------------------------------------------------------------------

// Clean float32 logits without edits are read where they are.
const float* prepare(const SamplingArgs& args, const SamplingParams& params, int64_t n,
                     bool is_edited, Scratch& scratch) {
  args.faults[n] = SamplingFault::kNone;
  const bool writes = is_edited || (args.logprobs != nullptr && args.processed_logprobs);
  if (args.dtype == DType::kFloat32 && !writes) {
    const float* logits = static_cast<const float*>(logits_of(args, n));
    if (is_clean(logits, args.vocab)) return logits;
  }
  copy_scores(args, n, scratch.scores);
  if (is_edited) args.faults[n] = apply_edits(args, params, n, scratch.scores, scratch.counts);
  return scratch.scores;
}

void sample_row(const SamplingArgs& args, int64_t n, Scratch& scratch) {
  const SamplingParams& params = args.params[n * args.params_stride];
  const bool is_edited = has_edits(args, params);
  const float* scores = prepare(args, params, n, is_edited, scratch);
  if (args.faults[n] != SamplingFault::kNone) return;
  Row row{.scores = scores,
          .vocab = args.vocab,
          .weighing = weighing_of(largest_of(scores, args.vocab), params.temperature, args.vocab),
          .params = params,
          .random = args.random[n],
          .scratch = &scratch,
          .is_cut = false,
          .total = 0};
  const int64_t id = choose(row);
  args.ids[n] = id;
  if (args.logprobs != nullptr) write_logprobs(args, n, row, id, is_edited);
}

}  // namespace

void sample(const SamplingArgs& args, const ParallelFor& parallel_for) {
  parallel_for(0, args.rows, grain_rows(4 * args.vocab), [&](int64_t begin, int64_t end) {
    Scratch scratch = scratch_for(args.vocab);
    for (int64_t n = begin; n < end; ++n) sample_row(args, n, scratch);
  });
}

}  // namespace llmcore::cpu::LLMCORE_ISA
