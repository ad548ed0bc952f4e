// The sampler, a row of logits after the other, against a read of the logits. Normal logits with a
// standard deviation of 2: flatter than a trained model's, so that top-p keeps thousands of tokens.
#include <string>
#include <vector>

#include "core/philox.h"
#include "cpu/kernel_table.h"
#include "harness.h"
#include "ops/sampling.h"

namespace {

using llmcore::bench::Bench;
using llmcore::bench::Buffer;
using llmcore::bench::Limit;
using llmcore::bench::threads;

struct Chain {
  const char* name;
  llmcore::SamplingParams params;
  int64_t num_logprobs = -1;
};

constexpr Chain kChains[] = {
    {"greedy", {0, 0, 1, 0, 1, 1, 0, 0}},
    {"plain", {0.8, 0, 1, 0, 1, 1, 0, 0}},
    {"top_k 50", {0.8, 50, 1, 0, 1, 1, 0, 0}},
    {"top_k V/20", {0.8, -1, 1, 0, 1, 1, 0, 0}},
    {"top_p 0.9", {0.8, 0, 0.9, 0, 1, 1, 0, 0}},
    {"top_p 0.999", {0.8, 0, 0.999, 0, 1, 1, 0, 0}},
    {"top_k 50 top_p 0.9", {0.8, 50, 0.9, 0, 1, 1, 0, 0}},
    {"min_p 0.05", {0.8, 0, 1, 0.05, 1, 1, 0, 0}},
    {"typical 0.9", {0.8, 0, 1, 0, 0.9, 1, 0, 0}},
    {"all and 20 logprobs", {0.8, 50, 0.9, 0.05, 0.95, 1.1, 0.1, 0.1}, 20},
};
constexpr int64_t kHistory = 512;

void bench_shape(Bench& bench, int64_t rows, int64_t vocab, llmcore::DType dtype) {
  const std::string shape = std::to_string(rows) + "x" + std::to_string(vocab);
  const Buffer logits = llmcore::bench::normal(rows * vocab, dtype, 1, 2.0f);
  const auto count = static_cast<size_t>(rows);
  std::vector<uint64_t> random(count);
  for (size_t n = 0; n < count; ++n) random[n] = llmcore::sampling_bits(n, 1);
  std::vector<int32_t> history(count * kHistory);
  for (size_t i = 0; i < history.size(); ++i) {
    history[i] = static_cast<int32_t>(7919 * i % static_cast<size_t>(vocab));
  }
  std::vector<int64_t> ids(count), ranks(count), top_ids(count * 20), prompt_lens(count, 0),
      lens(count, kHistory);
  std::vector<float> logprobs(count), top_logprobs(count * 20);
  std::vector<llmcore::SamplingFault> faults(count);
  std::vector<llmcore::SamplingParams> params;
  for (const Chain& chain : kChains) {
    params.push_back(chain.params);
    if (params.back().top_k < 0) params.back().top_k = static_cast<double>(vocab / 20);
  }
  std::vector<llmcore::bench::Case> cases;
  for (size_t i = 0; i < params.size(); ++i) {
    llmcore::SamplingArgs args{};
    args.logits = logits.data();
    args.logits_stride = vocab;
    args.rows = rows;
    args.vocab = vocab;
    args.dtype = dtype;
    args.params = &params[i];
    args.random = random.data();
    args.ids = ids.data();
    args.faults = faults.data();
    if (kChains[i].num_logprobs >= 0) {
      args.history = history.data();
      args.history_dtype = llmcore::DType::kInt32;
      args.history_stride = kHistory;
      args.prompt_lens = prompt_lens.data();
      args.lens = lens.data();
      args.logprobs = logprobs.data();
      args.ranks = ranks.data();
      args.num_logprobs = kChains[i].num_logprobs;
      args.top_ids = top_ids.data();
      args.top_logprobs = top_logprobs.data();
    }
    cases.push_back({.op = "sample",
                     .pass = kChains[i].name,
                     .dtype = llmcore::dtype_name(dtype),
                     .shape = shape,
                     .bytes = static_cast<double>(rows * vocab * llmcore::element_size(dtype)),
                     .limit = Limit::kRead,
                     .run = [args] { llmcore::cpu::sample(args, threads()); }});
  }
  bench.measure(cases);
}

}  // namespace

int main(int argc, char** argv) {
  return llmcore::bench::run(argc, argv, [](Bench& bench) {
    for (const llmcore::DType dtype : {llmcore::DType::kFloat32, llmcore::DType::kBFloat16}) {
      for (const int64_t vocab : {128'256, 50'257, 32'000, 2'048}) {
        for (const int64_t rows : {1, 8, 64}) bench_shape(bench, rows, vocab, dtype);
      }
    }
  });
}
