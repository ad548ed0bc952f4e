// The sampler on exact-size heap buffers with real threads, against one sorted row at a time: what
// a sanitizer needs to see. The definition itself is tests/ops' matter.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <stdexcept>
#include <thread>
#include <vector>

#include "core/philox.h"
#include "cpu/kernel_table.h"
#include "cpu/scratch.h"
#include "expect.h"

namespace {

using llmcore::DType;
using llmcore::SamplingArgs;
using llmcore::SamplingFault;
using llmcore::SamplingParams;

void run_parallel(int64_t begin, int64_t end, int64_t, llmcore::ParallelFor::Body body,
                  void* context) {
  std::vector<std::thread> workers;
  for (int64_t at = begin; at < end; ++at) workers.emplace_back(body, at, at + 1, context);
  for (std::thread& worker : workers) worker.join();
}
void run_alone(int64_t begin, int64_t end, int64_t, llmcore::ParallelFor::Body body,
               void* context) {
  if (begin < end) body(begin, end, context);
}

constexpr SamplingParams kPlain{1, 0, 1, 0, 1, 1, 0, 0};

std::vector<SamplingParams> parameter_sets() {
  std::vector<SamplingParams> sets(9, kPlain);
  sets[1].temperature = 0;
  sets[2].top_k = 3;
  sets[3].top_p = 0.6;
  sets[4].min_p = 0.2;
  sets[5].typical_p = 0.5;
  sets[6] = {0.7, 20, 0.9, 0.01, 0.9, 1.2, 0.3, 0.1};
  sets[7] = {1.5, 40, 1, 0, 1, 0.8, 0, 0};
  sets[8] = {1, 1e15, 1e-300, 1, 1e-300, 1, 0, 0};
  return sets;
}

struct Outputs {
  std::vector<int64_t> ids, ranks, top_ids;
  std::vector<float> logprobs, top_logprobs;
  std::vector<SamplingFault> faults;

  bool operator==(const Outputs&) const = default;
};

struct Inputs {
  int64_t rows, vocab;
  std::vector<float> logits, bias_values;
  std::vector<uint64_t> random;
  std::vector<uint32_t> words;
  std::vector<int64_t> bias_ids, bias_offsets, prompt_lens, lens;
  std::vector<int32_t> history;
};

Inputs inputs(int64_t rows, int64_t vocab) {
  Inputs in;
  in.rows = rows;
  in.vocab = vocab;
  for (int64_t i = 0; i < rows * vocab; ++i) {
    in.logits.push_back(std::round(40 * std::sin(0.37f * static_cast<float>(i * i))) / 10);
  }
  in.bias_offsets.push_back(0);
  for (int64_t n = 0; n < rows; ++n) {
    in.random.push_back(llmcore::sampling_bits(static_cast<uint64_t>(n), 5));
    for (int64_t w = 0; w < (vocab + 31) / 32; ++w) in.words.push_back(w % 2 == 0 ? ~0u : 0x5555u);
    in.bias_ids.push_back(vocab - 1);
    in.bias_values.push_back(2);
    in.bias_offsets.push_back(n + 1);
    in.prompt_lens.push_back(n % 3);
    in.lens.push_back(n % 3 + 2);
    for (int64_t s = 0; s < 5; ++s) in.history.push_back(static_cast<int32_t>((n + s) % vocab));
  }
  return in;
}

SamplingArgs args_of(const Inputs& in, const SamplingParams& params, bool is_edited) {
  SamplingArgs args{};
  args.logits = in.logits.data();
  args.logits_stride = in.vocab;
  args.rows = in.rows;
  args.vocab = in.vocab;
  args.dtype = DType::kFloat32;
  args.params = &params;
  args.random = in.random.data();
  if (!is_edited) return args;
  args.allowed_words = in.words.data();
  args.allowed_stride = (in.vocab + 31) / 32;
  args.bias_ids = in.bias_ids.data();
  args.bias_values = in.bias_values.data();
  args.bias_offsets = in.bias_offsets.data();
  args.bias_offsets_stride = 1;
  args.history = in.history.data();
  args.history_dtype = DType::kInt32;
  args.history_stride = 5;
  args.prompt_lens = in.prompt_lens.data();
  args.lens = in.lens.data();
  return args;
}

Outputs outputs_of(SamplingArgs args, int64_t num_logprobs, bool processed,
                   llmcore::ParallelFor::Run run) {
  const auto rows = static_cast<size_t>(args.rows), width = static_cast<size_t>(num_logprobs);
  Outputs out{std::vector<int64_t>(rows),         std::vector<int64_t>(rows),
              std::vector<int64_t>(rows * width), std::vector<float>(rows),
              std::vector<float>(rows * width),   std::vector<SamplingFault>(rows)};
  args.ids = out.ids.data();
  args.faults = out.faults.data();
  args.logprobs = out.logprobs.data();
  args.ranks = out.ranks.data();
  args.num_logprobs = num_logprobs;
  args.top_ids = out.top_ids.data();
  args.top_logprobs = out.top_logprobs.data();
  args.processed_logprobs = processed;
  llmcore::cpu::sample(args, {run});
  return out;
}

// As run_alone, in a scratch that another op left full of infinities.
void run_in_leftovers(int64_t begin, int64_t end, int64_t, llmcore::ParallelFor::Body body,
                      void* context) {
  constexpr int64_t kCount = 1 << 18;
  float* scratch = llmcore::cpu::thread_floats(llmcore::cpu::Scratch::kWorker, kCount);
  std::fill_n(scratch, kCount, INFINITY);
  if (begin < end) body(begin, end, context);
}

void test_shape(int64_t rows, int64_t vocab) {
  const Inputs in = inputs(rows, vocab);
  for (const SamplingParams& params : parameter_sets()) {
    for (const bool is_edited : {false, true}) {
      for (const bool processed : {false, true}) {
        const SamplingArgs args = args_of(in, params, is_edited);
        const int64_t num = vocab < 7 ? vocab : 7;
        const Outputs out = outputs_of(args, num, processed, run_alone);
        EXPECT(out == outputs_of(args, num, processed, run_parallel));
        EXPECT(out == outputs_of(args, num, processed, run_in_leftovers));
        for (const int64_t id : out.ids) EXPECT(id >= 0 && id < vocab);
        for (const float logprob : out.logprobs) EXPECT(logprob <= 0 && logprob > -100);
      }
    }
  }
}

// The drawn score is one of the k largest, and greedy takes the first of the largest.
void test_top_k(int64_t vocab) {
  const Inputs in = inputs(1, vocab);
  std::vector<float> sorted = in.logits;
  std::sort(sorted.begin(), sorted.end(), std::greater<>());
  for (const int64_t k : {1, 2, 17, 300}) {
    SamplingParams params = kPlain;
    params.top_k = static_cast<double>(k);
    const Outputs out = outputs_of(args_of(in, params, false), 1, false, run_alone);
    const auto id = static_cast<size_t>(out.ids[0]);
    EXPECT(in.logits[id] >= sorted[static_cast<size_t>(std::min(k, vocab) - 1)]);
    const auto largest = std::max_element(in.logits.begin(), in.logits.end());
    EXPECT(out.top_ids[0] == largest - in.logits.begin());
    if (k == 1) EXPECT(out.ids[0] == out.top_ids[0]);
  }
}

void test_odd_values() {
  Inputs in = inputs(4, 37);
  const float nan = std::nanf(""), inf = INFINITY;
  std::fill_n(in.logits.begin(), 37, -inf);
  std::fill_n(in.logits.begin() + 37, 37, nan);
  std::fill_n(in.logits.begin() + 74, 37, inf);
  in.logits[3 * 37 + 5] = inf;
  for (const SamplingParams& params : parameter_sets()) {
    const Outputs out = outputs_of(args_of(in, params, false), 3, false, run_alone);
    EXPECT(out.ids[0] == -1 && out.ids[1] == -1 && out.ids[2] >= 0 && out.ids[3] == 5);
  }
}

void test_bad_ids() {
  SamplingParams params = kPlain;
  params.presence_penalty = 1;
  for (const int32_t bad : {-1, 37, INT32_MAX, INT32_MIN}) {
    Inputs in = inputs(3, 37);
    in.history[6] = bad;  // row 1, in its output
    EXPECT(outputs_of(args_of(in, params, true), 3, false, run_alone).faults[1] ==
           SamplingFault::kHistoryId);
    in = inputs(3, 37);
    const Outputs good = outputs_of(args_of(in, params, true), 3, false, run_alone);
    EXPECT(good.faults[1] == SamplingFault::kNone);  // the counts were left zero
    in.bias_ids[2] = bad;
    EXPECT(outputs_of(args_of(in, params, true), 3, false, run_alone).faults[2] ==
           SamplingFault::kBiasId);
  }
}

void test_half_width(DType dtype, int64_t vocab) {
  const Inputs in = inputs(2, vocab);
  const std::vector<uint16_t> logits(static_cast<size_t>(2 * vocab), 0x3C00);
  for (const SamplingParams& params : parameter_sets()) {
    SamplingArgs args = args_of(in, params, false);
    args.logits = logits.data();
    args.dtype = dtype;
    const Outputs out = outputs_of(args, 1, false, run_alone);
    EXPECT(out.ids[0] >= 0 && out.ids[0] < vocab && out.top_ids[1] == 0);
  }
}

}  // namespace

int main() {
  try {
    std::printf("isa %s\n", llmcore::cpu::isa_in_use());
  } catch (const std::runtime_error& error) {
    std::printf("skipped: %s\n", error.what());
    return 77;
  }
  for (const int64_t vocab : {1, 2, 15, 16, 17, 31, 33, 64, 65, 511, 513, 1025, 4099}) {
    test_shape(vocab > 600 ? 2 : 5, vocab);
    test_top_k(vocab);
    test_half_width(DType::kBFloat16, vocab);
    test_half_width(DType::kFloat16, vocab);
  }
  test_odd_values();
  test_bad_ids();
  return llmcore::test::num_failed;
}
