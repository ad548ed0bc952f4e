// attention forward and backward on long and odd sequences, and paged_attention while decoding.
#include <string>
#include <vector>

#include "cpu/kernel_table.h"
#include "harness.h"
#include "ops/attention_backward.h"
#include "ops/paged_attention.h"

namespace {

using llmcore::DType;
using llmcore::HeadStrides;
using llmcore::bench::Bench;
using llmcore::bench::Buffer;
using llmcore::bench::Case;
using llmcore::bench::Limit;
using llmcore::bench::threads;

struct Shape {
  int64_t batch, tokens, heads, kv_heads, width;
  std::string text() const {
    return std::to_string(batch) + "x" + std::to_string(tokens) + "x" + std::to_string(heads) +
           "/" + std::to_string(kv_heads) + "x" + std::to_string(width);
  }
};

HeadStrides strides_of(int64_t tokens, int64_t heads, int64_t width) {
  return {tokens * heads * width, heads * width, width};
}

llmcore::AttentionArgs causal(const Shape& s, DType dtype) {
  llmcore::AttentionArgs args{};
  args.q_strides = args.out_strides = strides_of(s.tokens, s.heads, s.width);
  args.k_strides = args.v_strides = strides_of(s.tokens, s.kv_heads, s.width);
  args.num_sequences = s.batch;
  args.num_queries = args.num_keys = s.tokens;
  args.num_heads = s.heads;
  args.num_kv_heads = s.kv_heads;
  args.head_dim = args.value_dim = s.width;
  args.dtype = dtype;
  args.scale = 0.1f;
  args.causal = true;
  return args;
}

void bench_training(Bench& bench, const Shape& s, DType dtype) {
  const int64_t q_size = s.batch * s.tokens * s.heads * s.width;
  const int64_t k_size = s.batch * s.tokens * s.kv_heads * s.width;
  const int64_t bytes = llmcore::element_size(dtype);
  const Buffer q = llmcore::bench::normal(q_size, dtype, 1);
  const Buffer k = llmcore::bench::normal(k_size, dtype, 2);
  const Buffer v = llmcore::bench::normal(k_size, dtype, 3);
  const Buffer dout = llmcore::bench::normal(q_size, dtype, 4);
  const Buffer out(q_size * bytes), lse(s.batch * s.heads * s.tokens * 4);
  const Buffer dq(q_size * bytes), dk(k_size * bytes), dv(k_size * bytes);
  llmcore::AttentionArgs forward = causal(s, dtype);
  forward.q = q.data();
  forward.k = k.data();
  forward.v = v.data();
  forward.out = out.data();
  forward.lse = lse.as<float>();
  llmcore::AttentionBackwardArgs backward{};
  backward.forward = forward;
  backward.dout = dout.data();
  backward.dq = dq.data();
  backward.dk = dk.data();
  backward.dv = dv.data();
  backward.dout_strides = backward.dq_strides = forward.q_strides;
  backward.dk_strides = backward.dv_strides = forward.k_strides;
  const Buffer scratch(
      4 * llmcore::cpu::attention_backward_scratch_floats(forward, llmcore::bench::num_threads()));
  backward.scratch = scratch.as<float>();
  backward.num_threads = llmcore::bench::num_threads();
  const double pairs = 0.5 * static_cast<double>(s.tokens) * static_cast<double>(s.tokens + 1);
  const double product = 2.0 * static_cast<double>(s.batch * s.heads * s.width) * pairs;
  const auto case_of = [&](const char* pass, double products, std::function<void()> run) {
    return Case{.op = "attention",
                .pass = pass,
                .dtype = llmcore::dtype_name(dtype),
                .shape = s.text(),
                .flops = products * product,
                .limit = dtype == DType::kFloat32 ? Limit::kFma : Limit::kDotBf16,
                .run = std::move(run)};
  };
  llmcore::cpu::attention(forward, threads());  // lse
  bench.measure({
      case_of("forward", 2, [&] { llmcore::cpu::attention(forward, threads()); }),
      case_of("backward", 5, [&] { llmcore::cpu::attention_backward(backward, threads()); }),
  });
}

// `s.tokens` cached keys per sequence in shuffled pages, one query each.
void bench_decoding(Bench& bench, const Shape& s, int64_t page, DType dtype, bool is_int8) {
  const int64_t pages = (s.tokens + page - 1) / page, num_pages = pages * s.batch;
  const int64_t size = num_pages * page * s.kv_heads * s.width;
  const Buffer q = llmcore::bench::normal(s.batch * s.heads * s.width, dtype, 1);
  const Buffer keys = llmcore::bench::normal(is_int8 ? size / 2 + 1 : size, dtype, 2);
  const Buffer values = llmcore::bench::normal(is_int8 ? size / 2 + 1 : size, dtype, 3);
  const Buffer scales = llmcore::bench::normal(num_pages * page * s.kv_heads, DType::kFloat32, 4);
  const Buffer out(q.size());
  std::vector<int64_t> tables, seq_lens, ends{0};
  for (int64_t i = 0; i < num_pages; ++i) tables.push_back(i * 7919 % num_pages);
  for (int64_t b = 0; b < s.batch; ++b) {
    seq_lens.push_back(s.tokens);
    ends.push_back(b + 1);
  }
  llmcore::PagedAttentionArgs args{};
  args.attention = causal(s, dtype);
  args.attention.num_queries = 1;
  args.attention.q = q.data();
  args.attention.out = out.data();
  args.attention.q_strides = args.attention.out_strides = strides_of(0, s.heads, s.width);
  args.attention.cu_seqlens_q = ends.data();
  args.key_cache = keys.data();
  args.value_cache = values.data();
  args.key_strides = {page * s.kv_heads * s.width, s.kv_heads * s.width, s.width};
  args.value_strides = args.key_strides;
  args.key_scales = args.value_scales = scales.as<float>();
  args.cache_type = is_int8                    ? llmcore::CacheType::kInt8
                    : dtype == DType::kFloat32 ? llmcore::CacheType::kFloat32
                                               : llmcore::CacheType::kBFloat16;
  args.page_size = page;
  args.block_tables = tables.data();
  args.max_pages = pages;
  args.seq_lens = seq_lens.data();
  const int64_t bytes = is_int8 ? 1 : llmcore::element_size(dtype);
  bench.measure(
      {Case{.op = "paged_attention",
            .pass = "decode",
            .dtype = is_int8 ? "int8" : llmcore::dtype_name(dtype),
            .shape = s.text() + " page " + std::to_string(page),
            .bytes = static_cast<double>(2 * s.batch * s.tokens * s.kv_heads * s.width * bytes),
            .limit = Limit::kRead,
            .run = [&] { llmcore::cpu::paged_attention(args, threads()); }}});
}

}  // namespace

int main(int argc, char** argv) {
  return llmcore::bench::run(argc, argv, [](Bench& bench) {
    for (const DType dtype : {DType::kFloat32, DType::kBFloat16}) {
      for (const Shape& shape : std::vector<Shape>{{2, 256, 4, 2, 32},
                                                   {1, 1000, 8, 2, 80},
                                                   {1, 1024, 16, 4, 64},
                                                   {1, 4096, 4, 2, 64},
                                                   {1, 4096, 2, 1, 128}}) {
        bench_training(bench, shape, dtype);
      }
      bench_decoding(bench, {1, 16384, 32, 8, 128}, 16, dtype, false);
      bench_decoding(bench, {8, 4096, 8, 8, 64}, 64, dtype, false);
      bench_decoding(bench, {4, 10000, 16, 4, 80}, 1, dtype, false);
      bench_decoding(bench, {1, 32768, 8, 1, 128}, 256, dtype, false);
      bench_decoding(bench, {1, 16384, 32, 8, 128}, 16, dtype, true);
    }
  });
}
