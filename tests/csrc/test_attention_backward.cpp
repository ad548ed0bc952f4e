// The backward of attention on exact-size heap buffers with real threads, against double loops over
// pairs: every rule, every instruction set, any number of threads to the bit. What a sanitizer
// needs to see; accuracy to the last place is tests/ops' matter.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "cpu/kernel_table.h"
#include "expect.h"
#include "ops/attention_backward.h"

namespace {

using llmcore::AttentionArgs;
using llmcore::AttentionBackwardArgs;
using llmcore::DType;
using llmcore::SparseKind;

void run_parallel(int64_t begin, int64_t end, int64_t grain, llmcore::ParallelFor::Body body,
                  void* context) {
  std::vector<std::thread> workers;
  for (int64_t at = begin; at < end; at += grain) {
    workers.emplace_back(body, at, std::min(at + grain, end), context);
  }
  for (std::thread& worker : workers) worker.join();
}

float from_bfloat16(uint16_t bits) {
  const uint32_t wide = uint32_t{bits} << 16;
  float value;
  std::memcpy(&value, &wide, 4);
  return value;
}

uint16_t to_bfloat16(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, 4);
  return static_cast<uint16_t>((bits + 0x7FFFu + ((bits >> 16) & 1u)) >> 16);
}

// Numbers in float32 or bfloat16, in a heap buffer of exactly their size.
class Numbers {
 public:
  Numbers(int64_t count, DType dtype)
      : count_(count), dtype_(dtype), data_(new char[static_cast<size_t>(bytes())]) {
    std::memset(data_.get(), 0x7F, static_cast<size_t>(bytes()));  // NaN in bfloat16
  }
  int64_t size() const { return count_; }
  void* data() const { return data_.get(); }
  int64_t bytes() const { return count_ * llmcore::element_size(dtype_); }
  float operator[](int64_t i) const {
    if (dtype_ == DType::kFloat32) return static_cast<const float*>(data())[i];
    return from_bfloat16(static_cast<const uint16_t*>(data())[i]);
  }
  void set(int64_t i, double value) {
    if (dtype_ == DType::kFloat32) {
      static_cast<float*>(data())[i] = static_cast<float>(value);
    } else {
      static_cast<uint16_t*>(data())[i] = to_bfloat16(static_cast<float>(value));
    }
  }
  Numbers& fill(double step) {
    for (int64_t i = 0; i < count_; ++i) {
      set(i, 1.5 * std::sin(step * static_cast<double>(i) + 0.1) +
                 0.5 * std::cos(0.9 * static_cast<double>(i * i % 97)));
    }
    return *this;
  }

 private:
  int64_t count_;
  DType dtype_;
  std::unique_ptr<char[]> data_;
};

struct Setup {
  std::string name;
  DType dtype = DType::kFloat32;
  int64_t batch = 2, queries = 70, keys = 70, heads = 4, kv_heads = 2, width = 16, value_width = 16;
  bool causal = true;
  int64_t window = 0;
  SparseKind sparse = SparseKind::kFull;
  int64_t stride = 0, summary = 0;
  float softcap = 0, dropout = 0;
  bool mask = false, segments = false, prefix = false, alibi = false, sinks = false;
  bool bias = false;
  std::array<bool, 4> broadcast{};                // axes of the bias of size 1
  std::vector<int64_t> query_lens{}, key_lens{};  // packed sequences
};

uint32_t philox_word(uint64_t seed, std::array<uint32_t, 4> c, int64_t word) {
  auto k0 = static_cast<uint32_t>(seed), k1 = static_cast<uint32_t>(seed >> 32);
  for (int round = 0; round < 10; ++round) {
    const uint64_t p0 = uint64_t{0xD2511F53u} * c[0], p1 = uint64_t{0xCD9E8D57u} * c[2];
    c = {static_cast<uint32_t>(p1 >> 32) ^ c[1] ^ k0, static_cast<uint32_t>(p1),
         static_cast<uint32_t>(p0 >> 32) ^ c[3] ^ k1, static_cast<uint32_t>(p0)};
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  return c[static_cast<size_t>(word)];
}

// Inputs, outputs and the expected gradients of one call.
class Check {
 public:
  explicit Check(const Setup& setup)
      : s(setup),
        tokens(s.batch * s.queries),
        key_tokens(s.batch * s.keys),
        q(place(s.query_lens, tokens) * s.heads * s.width, s.dtype),
        k(place(s.key_lens, key_tokens) * s.kv_heads * s.width, s.dtype),
        v(key_tokens * s.kv_heads * s.value_width, s.dtype),
        out(tokens * s.heads * s.value_width, s.dtype),
        dout(out.size(), s.dtype),
        bias(s.bias ? bias_size() : 0, s.dtype),
        lse(static_cast<size_t>(tokens * s.heads)) {
    q.fill(0.37), k.fill(0.73), v.fill(1.21), dout.fill(1.9), bias.fill(0.51);
    for (int64_t h = 0; h < s.heads; ++h) {
      slopes.push_back(0.02f * static_cast<float>(h));
      sinks.push_back(0.3f * static_cast<float>(h) - 0.5f);
    }
    for (int64_t b = 0; b < s.batch; ++b) prefix.push_back(b * 37 + 5);
    mask.reset(new bool[static_cast<size_t>(s.batch * s.queries * s.keys)]);
    for (int64_t i = 0; i < s.batch * s.queries * s.keys; ++i) {
      mask[static_cast<size_t>(i)] = i / s.keys % 11 != 3 && i % 3 != 1;  // some rows keep nothing
    }
    for (int64_t i = 0; i < s.batch * s.keys; ++i) segments.push_back(i % s.keys / 29);
    dq.assign(static_cast<size_t>(q.size()), 0);
    dk.assign(static_cast<size_t>(k.size()), 0);
    dv.assign(static_cast<size_t>(v.size()), 0);
    dbias.assign(static_cast<size_t>(bias.size()), 0);
    dsinks.assign(static_cast<size_t>(s.heads), 0);
    for (int64_t b = 0; b < s.batch; ++b) expect_sequence(b);
  }

  void run() {
    std::vector<Numbers> first = outputs(1);
    compare("dq", first[0], dq);
    compare("dk", first[1], dk);
    compare("dv", first[2], dv);
    if (s.bias) compare("dbias", first[3], dbias);
    if (s.sinks) compare("dsinks", first[4], dsinks);
    for (int64_t num_threads : {2, 5}) {
      const std::vector<Numbers> again = outputs(num_threads);
      for (size_t i = 0; i < again.size(); ++i) {
        const auto bytes = static_cast<size_t>(first[i].bytes());
        EXPECT(std::memcmp(first[i].data(), again[i].data(), bytes) == 0);
      }
    }
  }

 private:
  static int64_t place(const std::vector<int64_t>& lens, int64_t& tokens) {
    if (lens.empty()) return tokens;
    tokens = 0;
    for (int64_t len : lens) tokens += len;
    return tokens;
  }
  bool packed() const { return !s.query_lens.empty(); }
  int64_t bias_axis(size_t axis) const {
    const std::array<int64_t, 4> sizes{s.batch, s.heads, s.queries, s.keys};
    return s.broadcast[axis] ? 1 : sizes[axis];
  }
  int64_t bias_size() const { return bias_axis(0) * bias_axis(1) * bias_axis(2) * bias_axis(3); }
  int64_t bias_stride(size_t axis) const {
    int64_t stride = 1;
    for (size_t a = 3; a > axis; --a) stride *= bias_axis(a);
    return s.broadcast[axis] ? 0 : stride;
  }
  int64_t bias_at(int64_t b, int64_t h, int64_t t, int64_t key) const {
    return b * bias_stride(0) + h * bias_stride(1) + t * bias_stride(2) + key * bias_stride(3);
  }

  bool keeps(int64_t b, int64_t t, int64_t key, int64_t i) const {
    bool kept = !s.causal || key <= i || (s.prefix && key < prefix[static_cast<size_t>(b)]);
    const int64_t away = std::abs(i - key);
    if (s.window > 0) kept = kept && away < s.window;
    const auto block = [&](int64_t at) {
      return static_cast<int64_t>(
          std::floor(static_cast<double>(at) / static_cast<double>(s.stride)));
    };
    if (s.sparse != SparseKind::kFull) {
      const bool strided = away % s.stride == 0, local = block(i) == block(key);
      const bool summary = key % s.stride >= s.stride - s.summary;
      const std::array<bool, 6> rules{true,  strided, strided || away < s.stride,
                                      local, summary, local || summary};
      kept = kept && rules[static_cast<size_t>(s.sparse)];
    }
    if (s.mask) kept = kept && mask[static_cast<size_t>((b * s.queries + t) * s.keys + key)];
    if (s.segments) {
      const int64_t* ids = segments.data() + b * s.keys;
      kept = kept && ids[i] == ids[key];
    }
    return kept;
  }

  void expect_sequence(int64_t b) {
    int64_t first = b * s.queries, first_key = b * s.keys, count = s.queries, num_keys = s.keys;
    if (packed()) {
      const auto at = static_cast<size_t>(b);
      first = first_key = 0;
      for (size_t i = 0; i < at; ++i) first += s.query_lens[i], first_key += s.key_lens[i];
      count = s.query_lens[at];
      num_keys = s.key_lens[at];
    }
    for (int64_t h = 0; h < s.heads; ++h) {
      for (int64_t t = 0; t < count; ++t)
        expect_row(b, h, t, first + t, first_key, count, num_keys);
    }
  }

  double dot(const Numbers& a, int64_t row, const Numbers& b, int64_t other, int64_t width) const {
    double sum = 0;
    for (int64_t d = 0; d < width; ++d) {
      sum += static_cast<double>(a[row * width + d]) * static_cast<double>(b[other * width + d]);
    }
    return sum;
  }

  void expect_row(int64_t b, int64_t h, int64_t t, int64_t token, int64_t first_key, int64_t count,
                  int64_t num_keys) {
    const int64_t i = t + num_keys - count, row = token * s.heads + h;
    const auto n = static_cast<size_t>(num_keys);
    std::vector<double> z(n, -INFINITY), slope(n, 1), drop(n, 1), p(n);
    const auto key_row = [&](int64_t key) {
      return (first_key + key) * s.kv_heads + h / (s.heads / s.kv_heads);
    };
    double total = s.sinks ? std::exp(static_cast<double>(sinks[static_cast<size_t>(h)])) : 0;
    for (int64_t key = 0; key < num_keys; ++key) {
      const auto j = static_cast<size_t>(key);
      if (!keeps(b, t, key, i)) continue;
      z[j] = scale() * dot(q, row, k, key_row(key), s.width);
      if (s.softcap > 0) {
        const double cap = s.softcap, squashed = std::tanh(z[j] / cap);
        z[j] = cap * squashed;
        slope[j] = 1 - squashed * squashed;
      }
      if (s.bias) z[j] += static_cast<double>(bias[bias_at(b, h, t, key)]);
      if (s.alibi) {
        z[j] -= static_cast<double>(slopes[static_cast<size_t>(h)]) *
                static_cast<double>(std::abs(i - key));
      }
      total += std::exp(z[j]);
      if (s.dropout > 0) {
        const std::array<uint32_t, 4> counter{
            static_cast<uint32_t>(key / 4), static_cast<uint32_t>(t),
            static_cast<uint32_t>(b * s.heads + h), llmcore::kDropoutPurpose};
        const double limit = static_cast<double>(s.dropout) * 4294967296.0;
        const bool dropped = philox_word(kSeed, counter, key % 4) < limit;
        drop[j] = dropped ? 0 : 1 / (1 - static_cast<double>(s.dropout));
      }
    }
    const double row_lse = std::log(total);
    lse[static_cast<size_t>(packed() ? h * tokens + token : (b * s.heads + h) * s.queries + t)] =
        static_cast<float>(row_lse);
    double delta = 0;
    std::vector<double> mixed(static_cast<size_t>(s.value_width)), dp(n);
    for (size_t j = 0; j < n; ++j) {
      p[j] = z[j] == -INFINITY ? 0 : std::exp(z[j] - row_lse);
      const int64_t at = key_row(static_cast<int64_t>(j));
      dp[j] = drop[j] * dot(dout, row, v, at, s.value_width);
      delta += p[j] * dp[j];
      for (int64_t d = 0; d < s.value_width; ++d) {
        mixed[static_cast<size_t>(d)] +=
            p[j] * drop[j] * static_cast<double>(v[at * s.value_width + d]);
        dv[static_cast<size_t>(at * s.value_width + d)] +=
            p[j] * drop[j] * static_cast<double>(dout[row * s.value_width + d]);
      }
    }
    for (int64_t d = 0; d < s.value_width; ++d) {
      out.set(row * s.value_width + d, mixed[static_cast<size_t>(d)]);
    }
    if (s.sinks) {
      const auto at = static_cast<size_t>(h);
      dsinks[at] -= std::exp(static_cast<double>(sinks[at]) - row_lse) * delta;
    }
    for (size_t j = 0; j < n; ++j) {
      const double ds = p[j] * (dp[j] - delta), dz = ds * slope[j] * scale();
      const auto key = static_cast<int64_t>(j);
      if (s.bias) dbias[static_cast<size_t>(bias_at(b, h, t, key))] += ds;
      for (int64_t d = 0; d < s.width; ++d) {
        const int64_t at = key_row(key) * s.width + d;
        dq[static_cast<size_t>(row * s.width + d)] += dz * static_cast<double>(k[at]);
        dk[static_cast<size_t>(at)] += dz * static_cast<double>(q[row * s.width + d]);
      }
    }
  }

  // dq, dk, dv, dbias and dsinks as the kernel gives them.
  std::vector<Numbers> outputs(int64_t num_threads) {
    std::vector<Numbers> found;
    found.emplace_back(q.size(), s.dtype);
    found.emplace_back(k.size(), s.dtype);
    found.emplace_back(v.size(), s.dtype);
    found.emplace_back(bias.size(), DType::kFloat32);
    found.emplace_back(s.sinks ? s.heads : 0, DType::kFloat32);
    AttentionBackwardArgs args{};
    set_forward(args.forward);
    args.dout = dout.data();
    args.dout_strides = args.forward.out_strides;
    args.dq_strides = args.forward.q_strides;
    args.dk_strides = args.forward.k_strides;
    args.dv_strides = args.forward.v_strides;
    args.dq = found[0].data();
    args.dk = found[1].data();
    args.dv = found[2].data();
    if (s.bias) args.dbias = found[3].data();
    if (s.sinks) args.dsinks = static_cast<float*>(found[4].data());
    args.dbias_batch_stride = bias_stride(0);
    args.dbias_head_stride = bias_stride(1);
    args.dbias_query_stride = bias_stride(2);
    args.dbias_key_stride = bias_stride(3);
    args.num_threads = num_threads;
    const int64_t floats =
        llmcore::cpu::attention_backward_scratch_floats(args.forward, num_threads);
    const std::unique_ptr<float[]> scratch(new float[static_cast<size_t>(floats)]);
    std::memset(scratch.get(), 0xFF, static_cast<size_t>(floats) * sizeof(float));  // NaN
    args.scratch = scratch.get();
    llmcore::cpu::attention_backward(args, llmcore::ParallelFor{run_parallel});
    return found;
  }

  llmcore::HeadStrides strides(int64_t length, int64_t heads, int64_t width) const {
    return {packed() ? 0 : length * heads * width, heads * width, width};
  }

  void set_forward(AttentionArgs& args) {
    args.q = q.data(), args.k = k.data(), args.v = v.data(), args.out = out.data();
    args.lse = lse.data();
    args.q_strides = strides(s.queries, s.heads, s.width);
    args.k_strides = strides(s.keys, s.kv_heads, s.width);
    args.v_strides = strides(s.keys, s.kv_heads, s.value_width);
    args.out_strides = strides(s.queries, s.heads, s.value_width);
    args.num_sequences = s.batch, args.num_queries = s.queries, args.num_keys = s.keys;
    args.num_heads = s.heads, args.num_kv_heads = s.kv_heads;
    args.head_dim = s.width, args.value_dim = s.value_width, args.dtype = s.dtype;
    if (packed()) {
      starts = {0}, key_starts = {0};
      for (int64_t len : s.query_lens) starts.push_back(starts.back() + len);
      for (int64_t len : s.key_lens) key_starts.push_back(key_starts.back() + len);
      args.cu_seqlens_q = starts.data(), args.cu_seqlens_k = key_starts.data();
      args.num_queries = *std::max_element(s.query_lens.begin(), s.query_lens.end());
      args.num_keys = *std::max_element(s.key_lens.begin(), s.key_lens.end());
    }
    args.scale = static_cast<float>(scale());
    args.softcap = s.softcap;
    args.causal = s.causal;
    args.window = s.window;
    args.sparse = s.sparse, args.stride = s.stride, args.summary = s.summary;
    if (s.mask) args.mask = mask.get();
    args.mask_batch_stride = s.queries * s.keys, args.mask_query_stride = s.keys;
    args.mask_key_stride = 1;
    if (s.bias) args.bias = bias.data();
    args.bias_batch_stride = bias_stride(0), args.bias_head_stride = bias_stride(1);
    args.bias_query_stride = bias_stride(2), args.bias_key_stride = bias_stride(3);
    if (s.segments) args.segment_ids = segments.data();
    if (s.prefix) args.prefix_lens = prefix.data();
    if (s.alibi) args.alibi_slopes = slopes.data();
    if (s.sinks) args.sinks = sinks.data();
    args.dropout = s.dropout;
    args.dropout_seed = kSeed;
  }

  double scale() const { return 0.25; }

  void compare(const char* what, const Numbers& got, const std::vector<double>& expected) const {
    double largest = 0, error = 0;
    for (size_t i = 0; i < expected.size(); ++i) {
      const double found = static_cast<double>(got[static_cast<int64_t>(i)]);
      largest = std::max(largest, std::abs(expected[i]));
      const double away = std::abs(found - expected[i]);
      error = away >= 0 ? std::max(error, away) : INFINITY;
    }
    const bool close = error <= (s.dtype == DType::kFloat32 ? 2e-5 : 2e-2) * (largest + 0.1);
    if (!close) std::printf("%s, %s: %g of %g\n", s.name.c_str(), what, error, largest);
    EXPECT(close);
  }

  static constexpr uint64_t kSeed = 0x123456789ABCDEFull;
  Setup s;
  int64_t tokens, key_tokens;
  Numbers q, k, v, out, dout, bias;
  std::vector<float> lse, slopes{}, sinks{};
  std::vector<int64_t> prefix{}, segments{}, starts{}, key_starts{};
  std::unique_ptr<bool[]> mask{};
  std::vector<double> dq{}, dk{}, dv{}, dbias{}, dsinks{};
};

std::vector<Setup> setups() {
  std::vector<Setup> found{
      {.name = "causal"},
      {.name = "one", .batch = 1, .queries = 1, .keys = 1, .heads = 1, .kv_heads = 1, .width = 1},
      {.name = "full", .queries = 65, .keys = 130, .heads = 1, .kv_heads = 1, .causal = false},
      {.name = "more queries", .queries = 131, .keys = 3, .kv_heads = 1},
      {.name = "chunk", .queries = 5, .keys = 200, .width = 33, .value_width = 80},
      {.name = "no keys", .queries = 5, .keys = 0},
      {.name = "no queries", .queries = 0, .keys = 5},
      {.name = "no values", .value_width = 0},
      {.name = "window", .queries = 150, .keys = 150, .window = 13},
      {.name = "window both ways", .queries = 70, .keys = 150, .causal = false, .window = 40},
      {.name = "strips", .batch = 1, .queries = 530, .keys = 600, .heads = 2, .kv_heads = 1},
      {.name = "strips of a window",
       .batch = 1,
       .queries = 600,
       .keys = 600,
       .heads = 1,
       .kv_heads = 1,
       .window = 100,
       .sinks = true},
      {.name = "softcap", .softcap = 2},
      {.name = "dropout", .dropout = 0.3f},
      {.name = "mask", .causal = false, .mask = true, .sinks = true},
      {.name = "segments", .queries = 65, .segments = true},
      {.name = "prefix", .queries = 90, .keys = 100, .prefix = true},
      {.name = "alibi", .queries = 33, .alibi = true},
      {.name = "sinks", .sinks = true},
      {.name = "packed", .batch = 4, .query_lens = {3, 0, 70, 129}, .key_lens = {7, 9, 70, 140}},
      {.name = "packed rules",
       .batch = 3,
       .window = 30,
       .dropout = 0.2f,
       .prefix = true,
       .alibi = true,
       .sinks = true,
       .query_lens = {65, 1, 64},
       .key_lens = {65, 70, 0}},
  };
  for (int64_t width : {16, 31, 64, 80, 128, 256}) {
    found.push_back({.name = "width",
                     .batch = 1,
                     .queries = 66,
                     .keys = 67,
                     .heads = 2,
                     .width = width,
                     .value_width = width});
  }
  for (int kind = 1; kind <= 5; ++kind) {
    found.push_back({.name = "sparse " + std::to_string(kind),
                     .queries = 100,
                     .keys = 150,
                     .sparse = static_cast<SparseKind>(kind),
                     .stride = 17,
                     .summary = 3});
  }
  for (unsigned axes = 0; axes < 16; ++axes) {
    Setup setup{.name = "bias " + std::to_string(axes), .queries = 67, .keys = 75, .softcap = 5};
    setup.bias = true;
    setup.sinks = axes % 2 == 1;
    for (size_t axis = 0; axis < 4; ++axis) setup.broadcast[axis] = (axes >> axis & 1) != 0;
    found.push_back(setup);
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
  for (Setup setup : setups()) {
    for (DType dtype : {DType::kFloat32, DType::kBFloat16}) {
      setup.dtype = dtype;
      Check(setup).run();
    }
  }
  return llmcore::test::num_failed;
}
