// Attention's forward, contiguous and paged, and append_to_cache on exact-size heap buffers with
// real threads: against a double loop over pairs, and paged against contiguous to the bit. What a
// sanitizer needs to see; accuracy to the last place is tests/ops' matter.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "cpu/kernel_table.h"
#include "expect.h"
#include "ops/attention.h"
#include "ops/paged_attention.h"

namespace {

using llmcore::AttentionArgs;
using llmcore::CacheType;
using llmcore::DType;
using llmcore::HeadStrides;
using llmcore::PagedAttentionArgs;
using llmcore::ParallelFor;
using llmcore::SparseKind;

void run_parallel(int64_t begin, int64_t end, int64_t grain, ParallelFor::Body body,
                  void* context) {
  const int64_t share = std::max(grain, (end - begin + 2) / 3);
  std::vector<std::thread> workers;
  for (int64_t at = begin; at < end; at += share) {
    workers.emplace_back(body, at, std::min(at + share, end), context);
  }
  for (std::thread& worker : workers) worker.join();
}

constexpr ParallelFor kThreads{run_parallel};

float from_bfloat16(uint16_t bits) {
  const uint32_t wide = uint32_t{bits} << 16;
  float value;
  std::memcpy(&value, &wide, 4);
  return value;
}

// Numbers in float32 or bfloat16 in a heap buffer of exactly their size; every one is a bfloat16.
class Numbers {
 public:
  Numbers(int64_t count, DType dtype, double step = 0.0)
      : count_(count),
        dtype_(dtype),
        data_(new char[static_cast<size_t>(count * llmcore::element_size(dtype))]) {
    for (int64_t i = 0; i < count && step != 0.0; ++i) {
      set(i, static_cast<float>(std::sin(step * static_cast<double>(i) + 0.1)));
    }
  }
  char* data() const { return data_.get(); }
  int64_t size() const { return count_; }
  int64_t bytes() const { return count_ * llmcore::element_size(dtype_); }
  char* at(int64_t i) const { return data() + i * llmcore::element_size(dtype_); }
  float operator[](int64_t i) const {
    if (dtype_ == DType::kFloat32) return reinterpret_cast<const float*>(data())[i];
    return from_bfloat16(reinterpret_cast<const uint16_t*>(data())[i]);
  }

 private:
  void set(int64_t i, float value) {
    uint32_t bits;
    std::memcpy(&bits, &value, 4);
    const auto half = static_cast<uint16_t>(bits >> 16);
    if (dtype_ == DType::kFloat32) {
      reinterpret_cast<float*>(data())[i] = from_bfloat16(half);
    } else {
      reinterpret_cast<uint16_t*>(data())[i] = half;
    }
  }
  int64_t count_;
  DType dtype_;
  std::unique_ptr<char[]> data_;
};

struct Setup {
  std::string name;
  int64_t batch = 2, queries = 70, keys = 75, heads = 4, kv_heads = 2, width = 20, value_width = 17;
  bool causal = true;
  int64_t window = 0;
  SparseKind sparse = SparseKind::kFull;
  int64_t stride = 0, summary = 0;
  float softcap = 0, dropout = 0;
  bool mask = false, segments = false, prefix = false, alibi = false, sinks = false, bias = false;
};

HeadStrides strides_of(int64_t tokens, int64_t heads, int64_t width) {
  return {tokens * heads * width, heads * width, width};
}

// Inputs of one call and what a double loop over its pairs gives.
struct Call {
  Setup s;
  DType dtype;
  Numbers q, k, v, bias;
  std::unique_ptr<bool[]> mask;
  std::vector<int64_t> segment_ids, prefix_lens;
  std::vector<float> slopes, sinks;

  Call(const Setup& setup, DType type)
      : s(setup),
        dtype(type),
        q(s.batch * s.queries * s.heads * s.width, type, 0.37),
        k(s.batch * s.keys * s.kv_heads * s.width, type, 0.73),
        v(s.batch * s.keys * s.kv_heads * s.value_width, type, 0.53),
        bias(s.heads * s.queries * s.keys, type, 0.11),
        mask(new bool[static_cast<size_t>(s.batch * s.queries * s.keys)]) {
    for (int64_t i = 0; i < s.batch * s.queries * s.keys; ++i) {
      mask[static_cast<size_t>(i)] = i % 7 != 0 && i / s.keys % 5 != 3;
    }
    for (int64_t i = 0; i < s.batch * s.keys; ++i) segment_ids.push_back(i % s.keys / 30);
    for (int64_t b = 0; b < s.batch; ++b) prefix_lens.push_back(b * 40);
    for (int64_t h = 0; h < s.heads; ++h) {
      slopes.push_back(0.1f * static_cast<float>(h + 1));
      sinks.push_back(0.5f * static_cast<float>(h));
    }
  }

  AttentionArgs args() const {
    AttentionArgs a{};
    a.q = q.data();
    a.k = k.data();
    a.v = v.data();
    a.q_strides = strides_of(s.queries, s.heads, s.width);
    a.k_strides = strides_of(s.keys, s.kv_heads, s.width);
    a.v_strides = strides_of(s.keys, s.kv_heads, s.value_width);
    a.out_strides = strides_of(s.queries, s.heads, s.value_width);
    a.num_sequences = s.batch;
    a.num_queries = s.queries;
    a.num_keys = s.keys;
    a.num_heads = s.heads;
    a.num_kv_heads = s.kv_heads;
    a.head_dim = s.width;
    a.value_dim = s.value_width;
    a.dtype = dtype;
    a.scale = 0.4f;
    a.softcap = s.softcap;
    a.causal = s.causal;
    a.window = s.window;
    a.sparse = s.sparse;
    a.stride = s.stride;
    a.summary = s.summary;
    a.dropout = s.dropout;
    a.dropout_seed = 5;
    if (s.mask) {
      a.mask = mask.get();
      a.mask_batch_stride = s.queries * s.keys;
      a.mask_query_stride = s.keys;
      a.mask_key_stride = 1;
    }
    if (s.bias) {
      a.bias = bias.data();
      a.bias_head_stride = s.queries * s.keys;
      a.bias_query_stride = s.keys;
      a.bias_key_stride = 1;
    }
    if (s.segments) a.segment_ids = segment_ids.data();
    if (s.prefix) a.prefix_lens = prefix_lens.data();
    if (s.alibi) a.alibi_slopes = slopes.data();
    if (s.sinks) a.sinks = sinks.data();
    return a;
  }

  bool keeps(int64_t b, int64_t t, int64_t key) const {
    const int64_t i = t + s.keys - s.queries, l = s.stride;
    const bool before = key <= i || (s.prefix && key < prefix_lens[static_cast<size_t>(b)]);
    if (s.causal && !before) return false;
    if (s.window > 0 && std::abs(i - key) >= s.window) return false;
    const auto block = [&](int64_t x) { return (x + 1000 * l) / l; };
    const bool strided = l > 0 && (i - key) % l == 0;
    const bool summary = l > 0 && key % l >= l - s.summary;
    switch (s.sparse) {
      case SparseKind::kStrided:
        if (!strided) return false;
        break;
      case SparseKind::kLocalOrStrided:
        if (!strided && std::abs(i - key) >= l) return false;
        break;
      case SparseKind::kFixedLocal:
        if (block(i) != block(key)) return false;
        break;
      case SparseKind::kFixedSummary:
        if (!summary) return false;
        break;
      case SparseKind::kFixed:
        if (!summary && block(i) != block(key)) return false;
        break;
      default:
        break;
    }
    if (s.mask && !mask[static_cast<size_t>((b * s.queries + t) * s.keys + key)]) return false;
    const auto id = [&](int64_t x) { return segment_ids[static_cast<size_t>(b * s.keys + x)]; };
    return !s.segments || id(i) == id(key);
  }

  double score(int64_t b, int64_t t, int64_t h, int64_t key) const {
    const int64_t kv = h / (s.heads / s.kv_heads), i = t + s.keys - s.queries;
    double z = 0;
    for (int64_t d = 0; d < s.width; ++d) {
      z += static_cast<double>(q[((b * s.queries + t) * s.heads + h) * s.width + d]) *
           k[((b * s.keys + key) * s.kv_heads + kv) * s.width + d];
    }
    z *= 0.4;
    if (s.softcap > 0) z = s.softcap * std::tanh(z / s.softcap);
    if (s.bias) z += bias[(h * s.queries + t) * s.keys + key];
    if (s.alibi) z -= slopes[static_cast<size_t>(h)] * static_cast<double>(std::abs(i - key));
    return z;
  }

  std::vector<double> expected_row(int64_t b, int64_t t, int64_t h) const {
    std::vector<double> out(static_cast<size_t>(s.value_width));
    double sum = s.sinks ? std::exp(static_cast<double>(sinks[static_cast<size_t>(h)])) : 0.0;
    for (int64_t key = 0; key < s.keys; ++key) {
      if (!keeps(b, t, key)) continue;
      const double p = std::exp(score(b, t, h, key));
      sum += p;
      const int64_t row = (b * s.keys + key) * s.kv_heads + h / (s.heads / s.kv_heads);
      for (int64_t c = 0; c < s.value_width; ++c) {
        out[static_cast<size_t>(c)] += p * v[row * s.value_width + c];
      }
    }
    for (double& value : out) value = sum > 0 ? value / sum : 0.0;
    return out;
  }
};

Numbers run_contiguous(const Call& call) {
  const Setup& s = call.s;
  Numbers out(s.batch * s.queries * s.heads * s.value_width, call.dtype);
  std::unique_ptr<float[]> lse(new float[static_cast<size_t>(s.batch * s.heads * s.queries)]);
  AttentionArgs args = call.args();
  args.out = out.data();
  args.lse = lse.get();
  llmcore::cpu::attention(args, kThreads);
  return out;
}

void check_values(const Call& call, const Numbers& out) {
  const Setup& s = call.s;
  const double tolerance = call.dtype == DType::kFloat32 ? 1e-4 : 3e-2;
  for (int64_t row = 0; row < s.batch * s.queries * s.heads; ++row) {
    const int64_t h = row % s.heads, t = row / s.heads % s.queries, b = row / s.heads / s.queries;
    const std::vector<double> expected = call.expected_row(b, t, h);
    for (int64_t c = 0; c < s.value_width; ++c) {
      EXPECT(std::abs(out[row * s.value_width + c] - expected[static_cast<size_t>(c)]) < tolerance);
    }
  }
}

// The same keys in pages of a cache that append_to_cache fills, in another order of pages.
void check_paged(const Call& call, const Numbers& contiguous, int64_t page) {
  const Setup& s = call.s;
  const int64_t pages = (s.keys + page - 1) / page, num_pages = pages * s.batch;
  std::vector<int64_t> tables, slots, seq_lens, ends{0};
  for (int64_t i = 0; i < num_pages; ++i) tables.push_back(num_pages - 1 - i);
  for (int64_t b = 0; b < s.batch; ++b) {
    for (int64_t key = 0; key < s.keys; ++key) {
      slots.push_back(tables[static_cast<size_t>(b * pages + key / page)] * page + key % page);
    }
    seq_lens.push_back(s.keys);
    ends.push_back((b + 1) * s.queries);
  }
  const Numbers keys(num_pages * page * s.kv_heads * s.width, call.dtype);
  const Numbers values(num_pages * page * s.kv_heads * s.value_width, call.dtype);
  const auto type = call.dtype == DType::kFloat32 ? CacheType::kFloat32 : CacheType::kBFloat16;
  const llmcore::PageStrides k_at{page * s.kv_heads * s.width, s.kv_heads * s.width, s.width};
  const llmcore::PageStrides v_at{page * s.kv_heads * s.value_width, s.kv_heads * s.value_width,
                                  s.value_width};
  llmcore::cpu::append_to_cache({.k = call.k.data(),
                                 .v = call.v.data(),
                                 .k_strides = strides_of(0, s.kv_heads, s.width),
                                 .v_strides = strides_of(0, s.kv_heads, s.value_width),
                                 .key_cache = keys.data(),
                                 .value_cache = values.data(),
                                 .key_strides = k_at,
                                 .value_strides = v_at,
                                 .key_scales = nullptr,
                                 .value_scales = nullptr,
                                 .dtype = call.dtype,
                                 .cache_type = type,
                                 .page_size = page,
                                 .slots = slots.data(),
                                 .num_tokens = s.batch * s.keys,
                                 .num_kv_heads = s.kv_heads,
                                 .head_dim = s.width,
                                 .value_dim = s.value_width},
                                kThreads);
  const Numbers out(contiguous.size(), call.dtype);
  PagedAttentionArgs args{};
  args.attention = call.args();
  args.attention.out = out.data();
  args.attention.q_strides.batch = args.attention.out_strides.batch = 0;
  args.attention.cu_seqlens_q = ends.data();
  args.key_cache = keys.data();
  args.value_cache = values.data();
  args.key_strides = k_at;
  args.value_strides = v_at;
  args.cache_type = type;
  args.page_size = page;
  args.block_tables = tables.data();
  args.max_pages = pages;
  args.seq_lens = seq_lens.data();
  llmcore::cpu::paged_attention(args, kThreads);
  EXPECT(std::memcmp(out.data(), contiguous.data(), static_cast<size_t>(out.bytes())) == 0);
}

// An int8 cache of one head: in bounds, and near the truth.
void check_int8(int64_t width) {
  const int64_t tokens = 70, page = 9, pages = 8;
  const Numbers k(tokens * width, DType::kFloat32, 0.7), q(width, DType::kFloat32, 0.3);
  std::unique_ptr<int8_t[]> keys(new int8_t[static_cast<size_t>(pages * page * width)]());
  std::unique_ptr<float[]> scales(new float[static_cast<size_t>(pages * page)]());
  std::vector<int64_t> slots, tables;
  for (int64_t i = 0; i < tokens; ++i) slots.push_back(i);
  for (int64_t i = 0; i < pages; ++i) tables.push_back(i);
  const llmcore::PageStrides at{page * width, width, width};
  llmcore::cpu::append_to_cache(
      {k.data(), k.data(), strides_of(0, 1, width), strides_of(0, 1, width), keys.get(), keys.get(),
       at, at, scales.get(), scales.get(), DType::kFloat32, CacheType::kInt8, page, slots.data(),
       tokens, 1, width, width},
      kThreads);
  for (int64_t i = 0; i < tokens * width; ++i) {
    const float scale = scales[static_cast<size_t>(i / width)];
    EXPECT(std::abs(keys[static_cast<size_t>(i)] * scale - k[i]) <= 0.51f * scale);
  }
  const Numbers out(width, DType::kFloat32);
  const std::vector<int64_t> seq_lens{tokens}, ends{0, 1};
  PagedAttentionArgs args{};
  args.attention.q = q.data();
  args.attention.out = out.data();
  args.attention.q_strides = args.attention.out_strides = strides_of(0, 1, width);
  args.attention.num_sequences = args.attention.num_queries = 1;
  args.attention.num_keys = tokens;
  args.attention.num_heads = args.attention.num_kv_heads = 1;
  args.attention.head_dim = args.attention.value_dim = width;
  args.attention.scale = 0.0f;  // the mean of the values
  args.attention.cu_seqlens_q = ends.data();
  args.key_cache = args.value_cache = keys.get();
  args.key_strides = args.value_strides = at;
  args.key_scales = args.value_scales = scales.get();
  args.cache_type = CacheType::kInt8;
  args.page_size = page;
  args.block_tables = tables.data();
  args.max_pages = pages;
  args.seq_lens = seq_lens.data();
  for (const DType dtype : {DType::kFloat32}) {
    args.attention.dtype = dtype;
    llmcore::cpu::paged_attention(args, kThreads);
  }
  for (int64_t c = 0; c < width; ++c) {
    double mean = 0;
    for (int64_t i = 0; i < tokens; ++i) mean += k[i * width + c] / static_cast<double>(tokens);
    EXPECT(std::abs(out[c] - mean) < 5e-3);
  }
}

std::vector<Setup> setups() {
  std::vector<Setup> found{
      {.name = "causal"},
      {.name = "full", .causal = false},
      {.name = "decode", .queries = 1, .keys = 1100, .heads = 6},
      {.name = "one", .batch = 1, .queries = 1, .keys = 1, .heads = 1, .kv_heads = 1, .width = 1},
      {.name = "wide", .queries = 7, .keys = 65, .width = 130, .value_width = 96},
      {.name = "more queries", .queries = 70, .keys = 5, .causal = false, .window = 9},
      {.name = "no keys", .keys = 0},
      {.name = "window", .window = 20},
      {.name = "prefix", .prefix = true},
      {.name = "segments", .segments = true},
      {.name = "mask", .causal = false, .mask = true},
      {.name = "bias", .bias = true},
      {.name = "scores", .softcap = 2.0f, .alibi = true, .sinks = true},
      {.name = "all",
       .window = 50,
       .softcap = 2.0f,
       .mask = true,
       .segments = true,
       .prefix = true,
       .alibi = true,
       .sinks = true,
       .bias = true},
  };
  for (int64_t kind = 1; kind <= 5; ++kind) {
    found.push_back({.name = "sparse",
                     .causal = kind % 2 == 0,
                     .sparse = static_cast<SparseKind>(kind),
                     .stride = 12,
                     .summary = 3});
  }
  return found;
}

}  // namespace

int main() {
  try {
    std::printf("isa %s\n", llmcore::cpu::isa_in_use());
  } catch (const std::runtime_error& error) {
    std::printf("skipped: %s\n", error.what());
    return 77;
  }
  for (const Setup& setup : setups()) {
    for (const DType dtype : {DType::kFloat32, DType::kBFloat16}) {
      const int before = llmcore::test::num_failed;
      const Call call(setup, dtype);
      const Numbers out = run_contiguous(call);
      check_values(call, out);
      const bool is_pageable = !setup.bias && !setup.mask && !setup.segments && setup.keys > 0;
      for (const int64_t page : {1, 16, 100}) {
        if (is_pageable) check_paged(call, out, page);
      }
      if (llmcore::test::num_failed > before) std::printf("failed: %s\n", setup.name.c_str());
    }
  }
  for (const int64_t width : {1, 16, 33}) check_int8(width);
  return llmcore::test::num_failed > 0 ? 1 : 0;
}
