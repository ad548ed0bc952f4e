// Schemas, checks and the CPU implementation of sample and sample_logprobs.
#include "ops/sampling.h"

#ifndef LLMCORE_CUDA_LIBRARY

#include <tuple>
#include <vector>

#include "core/philox.h"
#include "torch/abi.h"

namespace llmcore::door {

namespace {

using torch::headeronly::ScalarType;

// An absent tensor has no elements. The op takes all after `positions` as one list, which may be
// empty: a plain call then boxes three tensors and not eleven.
struct SamplingTensors {
  Tensor logits, seeds, positions;
  Tensor params;                             // (B, 8), or absent: the numbers of the call are all
  Tensor allowed;                            // (B or 1, V) bool or (B or 1, ceil(V / 32)) int32
  Tensor bias;                               // (B or 1, V), or (M) with ids and offsets
  Tensor bias_ids, bias_offsets;             // (M), (B + 1) or (2)
  Tensor history, history_lens, total_lens;  // (B, S), (B), (B)
};

[[noreturn]] void fail(const std::string& argument, const std::string& expected,
                       const std::string& got) {
  throw std::runtime_error("sample: " + argument + " must be " + expected + ", got " + got);
}

std::string shape_text(const Tensor& tensor) {
  std::string text = "(";
  for (int64_t i = 0; i < tensor.dim(); ++i) {
    text += (i > 0 ? ", " : "") + std::to_string(tensor.size(i));
  }
  return text + ")";
}

void check_dtype(const char* argument, const Tensor& tensor, ScalarType dtype, const char* name) {
  if (tensor.scalar_type() != dtype) fail(argument, name, "another dtype");
}

void check_shape(const char* argument, const Tensor& tensor, const std::string& expected,
                 bool fits) {
  if (!fits) fail(argument, expected, shape_text(tensor));
}

void check_vector(const char* argument, const Tensor& tensor, int64_t size, const char* axes) {
  check_dtype(argument, tensor, ScalarType::Long, "int64");
  check_shape(argument, tensor, std::string(axes) + " = (" + std::to_string(size) + ",)",
              tensor.dim() == 1 && tensor.size(0) == size);
}

// One row for all, or one each.
bool is_table(const Tensor& tensor, int64_t rows, int64_t cols) {
  return tensor.dim() == 2 && (tensor.size(0) == rows || tensor.size(0) == 1) &&
         tensor.size(1) == cols;
}

int64_t row_stride(const Tensor& tensor) {
  return tensor.size(0) == 1 ? 0 : tensor.size(1);
}

void check_params(const SamplingParams* params, int64_t count) {
  const auto check = [](const char* name, double value, bool holds, const char* expected) {
    if (!holds) fail(name, expected, std::to_string(value));
  };
  constexpr double kHuge = 1.7976931348623157e308;
  const auto finite = [](double value) { return value >= -kHuge && value <= kHuge; };
  for (int64_t n = 0; n < count; ++n) {
    const SamplingParams& p = params[n];
    check("temperature", p.temperature, finite(p.temperature) && p.temperature >= 0,
          "finite and >= 0");
    const bool is_whole = p.top_k >= 0 && p.top_k <= 0x1p52 &&
                          static_cast<double>(static_cast<int64_t>(p.top_k)) == p.top_k;
    check("top_k", p.top_k, is_whole, "a whole number in [0, 2^52]");
    check("top_p", p.top_p, p.top_p > 0 && p.top_p <= 1, "in (0, 1]");
    check("min_p", p.min_p, p.min_p >= 0 && p.min_p <= 1, "in [0, 1]");
    check("typical_p", p.typical_p, p.typical_p > 0 && p.typical_p <= 1, "in (0, 1]");
    check("repetition_penalty", p.repetition_penalty,
          finite(p.repetition_penalty) && p.repetition_penalty > 0, "finite and > 0");
    check("frequency_penalty", p.frequency_penalty, finite(p.frequency_penalty), "finite");
    check("presence_penalty", p.presence_penalty, finite(p.presence_penalty), "finite");
  }
}

struct Shape {
  int64_t rows;
  int64_t vocab;
  DType dtype;
};

Shape check_logits(const SamplingTensors& t) {
  const DType dtype = dtype_of("sample", "logits", t.logits);
  check_shape("logits", t.logits, "(B, V) with 0 < V < 2^31",
              t.logits.dim() == 2 && t.logits.size(1) > 0 && t.logits.size(1) <= INT32_MAX);
  const Shape shape{t.logits.size(0), t.logits.size(1), dtype};
  check_vector("seeds", t.seeds, shape.rows, "(B,)");
  check_vector("positions", t.positions, shape.rows, "(B,)");
  if (t.params.numel() > 0) {
    check_dtype("params", t.params, ScalarType::Double, "float64");
    check_shape("params", t.params, "(B, 8)",
                t.params.dim() == 2 && t.params.size(0) == shape.rows &&
                    t.params.size(1) == kNumSamplingParams);
  }
  return shape;
}

void check_edits(const SamplingTensors& t, const Shape& shape) {
  const std::string v = std::to_string(shape.vocab);
  if (t.allowed.numel() > 0) {
    const bool is_bool = t.allowed.scalar_type() == ScalarType::Bool;
    if (!is_bool) check_dtype("allowed", t.allowed, ScalarType::Int, "bool or int32");
    check_shape("allowed", t.allowed, "(1 or B, V) bool or (1 or B, ceil(V / 32)) int32, V = " + v,
                is_table(t.allowed, shape.rows, is_bool ? shape.vocab : (shape.vocab + 31) / 32));
  }
  if (t.bias.numel() > 0) {
    check_dtype("logit_bias", t.bias, ScalarType::Float, "float32");
    if (t.bias_offsets.numel() == 0) {
      check_shape("logit_bias", t.bias, "(1 or B, V) with V = " + v,
                  is_table(t.bias, shape.rows, shape.vocab));
    } else {
      check_shape("logit_bias", t.bias, "values (M,)", t.bias.dim() == 1);
      check_vector("logit_bias", t.bias_ids, t.bias.size(0), "ids (M,)");
      check_dtype("logit_bias", t.bias_offsets, ScalarType::Long, "offsets of int64");
      const int64_t size = t.bias_offsets.numel();
      check_shape("logit_bias", t.bias_offsets, "offsets (B + 1,) or (2,)",
                  t.bias_offsets.dim() == 1 && (size == 2 || size == shape.rows + 1));
    }
  }
  if (t.history.numel() > 0) {
    if (t.history.scalar_type() != ScalarType::Int) {
      check_dtype("history", t.history, ScalarType::Long, "int32 or int64");
    }
    check_shape("history", t.history, "(B, S) with B = " + std::to_string(shape.rows),
                t.history.dim() == 2 && t.history.size(0) == shape.rows);
    check_vector("history", t.history_lens, shape.rows, "prompt_lens (B,)");
    check_vector("history", t.total_lens, shape.rows, "lens (B,)");
  }
}

void check_ranges(const SamplingArgs& args, int64_t num_bias, int64_t num_offsets,
                  int64_t history_size) {
  for (int64_t n = 0; args.bias_offsets != nullptr && n + 1 < num_offsets; ++n) {
    const int64_t from = args.bias_offsets[n], to = args.bias_offsets[n + 1];
    if (from < 0 || to < from || to > num_bias) {
      fail("logit_bias", "offsets that rise from 0 to M = " + std::to_string(num_bias),
           std::to_string(from) + " to " + std::to_string(to));
    }
  }
  for (int64_t n = 0; args.history != nullptr && n < args.rows; ++n) {
    const int64_t split = args.prompt_lens[n], end = args.lens[n];
    if (split < 0 || end < split || end > history_size) {
      fail("history", "0 <= prompt_lens <= lens <= S = " + std::to_string(history_size),
           "prompt_lens " + std::to_string(split) + ", lens " + std::to_string(end));
    }
  }
}

// Arguments without outputs; `t` holds packed tensors and outlives them, as `numbers` does.
SamplingArgs args_of(const SamplingTensors& t, const SamplingParams& numbers, const Shape& shape) {
  SamplingArgs args{};
  args.logits = t.logits.const_data_ptr();
  args.logits_stride = shape.rows > 1 ? t.logits.stride(0) : shape.vocab;
  args.rows = shape.rows;
  args.vocab = shape.vocab;
  args.dtype = shape.dtype;
  args.params = t.params.numel() > 0 ? static_cast<const SamplingParams*>(t.params.const_data_ptr())
                                     : &numbers;
  args.params_stride = t.params.numel() > 0 ? 1 : 0;
  if (t.allowed.numel() > 0) {
    const bool is_bool = t.allowed.scalar_type() == ScalarType::Bool;
    const void* data = t.allowed.const_data_ptr();
    if (is_bool) args.allowed = static_cast<const bool*>(data);
    if (!is_bool) args.allowed_words = static_cast<const uint32_t*>(data);
    args.allowed_stride = row_stride(t.allowed);
  }
  if (t.bias.numel() > 0) {
    const auto* values = static_cast<const float*>(t.bias.const_data_ptr());
    if (t.bias_offsets.numel() == 0) {
      args.dense_bias = values;
      args.dense_bias_stride = row_stride(t.bias);
    } else {
      args.bias_values = values;
      args.bias_ids = static_cast<const int64_t*>(t.bias_ids.const_data_ptr());
      args.bias_offsets = static_cast<const int64_t*>(t.bias_offsets.const_data_ptr());
      args.bias_offsets_stride = t.bias_offsets.numel() == shape.rows + 1 ? 1 : 0;
    }
  }
  if (t.history.numel() > 0) {
    const bool is_int = t.history.scalar_type() == ScalarType::Int;
    args.history = t.history.const_data_ptr();
    args.history_dtype = is_int ? DType::kInt32 : DType::kInt64;
    args.history_stride = t.history.size(1);
    args.prompt_lens = static_cast<const int64_t*>(t.history_lens.const_data_ptr());
    args.lens = static_cast<const int64_t*>(t.total_lens.const_data_ptr());
  }
  return args;
}

[[noreturn]] void fail_id(const SamplingArgs& args, int64_t row) {
  const auto fails = [&](int64_t id) { return id < 0 || id >= args.vocab; };
  const std::string expected = "ids in [0, V) = [0, " + std::to_string(args.vocab) + ")";
  const std::string where = " in row " + std::to_string(row);
  if (args.faults[row] == SamplingFault::kBiasId) {
    int64_t i = args.bias_offsets[row * args.bias_offsets_stride];
    while (!fails(args.bias_ids[i])) ++i;
    fail("logit_bias", expected, std::to_string(args.bias_ids[i]) + where);
  }
  const auto id_at = [&](int64_t i) {
    const int64_t at = row * args.history_stride + i;
    return args.history_dtype == DType::kInt32 ? static_cast<const int32_t*>(args.history)[at]
                                               : static_cast<const int64_t*>(args.history)[at];
  };
  // Where only the output is read, only it is at fault.
  int64_t i =
      args.params[row * args.params_stride].repetition_penalty == 1.0 ? args.prompt_lens[row] : 0;
  while (i + 1 < args.lens[row] && !fails(id_at(i))) ++i;
  fail("history", expected, std::to_string(id_at(i)) + where);
}

SamplingTensors tensors_of(const Tensor& logits, const Tensor& seeds, const Tensor& positions,
                           const std::vector<Tensor>& extras) {
  if (extras.size() == 8) {
    return {logits,    seeds,     positions, extras[0], extras[1], extras[2],
            extras[3], extras[4], extras[5], extras[6], extras[7]};
  }
  if (!extras.empty()) fail("extras", "0 or 8 tensors", std::to_string(extras.size()));
  const int64_t none[1] = {0};
  const Tensor absent = torch::stable::new_empty(logits, {none, 1});
  return {logits, seeds, positions, absent, absent, absent, absent, absent, absent, absent, absent};
}

SamplingParams numbers_of(const std::vector<double>& numbers) {
  if (numbers.size() != kNumSamplingParams) {
    fail("params", "8 numbers", std::to_string(numbers.size()));
  }
  return {numbers[0], numbers[1], numbers[2], numbers[3],
          numbers[4], numbers[5], numbers[6], numbers[7]};
}

SamplingTensors packed_all(SamplingTensors t) {
  if (t.logits.size(1) > 1 && t.logits.stride(1) != 1) t.logits = packed(t.logits);
  for (Tensor* tensor : {&t.seeds, &t.positions, &t.params, &t.allowed, &t.bias, &t.bias_ids,
                         &t.bias_offsets, &t.history, &t.history_lens, &t.total_lens}) {
    *tensor = packed(*tensor);
  }
  return t;
}

Tensor make(const Tensor& like, std::initializer_list<int64_t> sizes, ScalarType dtype) {
  return torch::stable::new_empty(like, {sizes.begin(), sizes.size()}, dtype);
}

using Sampled = std::tuple<Tensor, Tensor, Tensor, Tensor, Tensor>;

// num_logprobs < 0: ids alone.
Sampled run(SamplingTensors t, const SamplingParams& numbers, int64_t num_logprobs,
            bool processed) {
  const Shape shape = check_logits(t);
  if (num_logprobs > shape.vocab) {
    fail("num_logprobs", "in [0, V] = [0, " + std::to_string(shape.vocab) + "]",
         std::to_string(num_logprobs));
  }
  const int64_t rows = shape.rows, width = num_logprobs > 0 ? num_logprobs : 0;
  Tensor ids = make(t.logits, {rows}, ScalarType::Long);
  const bool with_logprobs = num_logprobs >= 0;
  Sampled out{ids, ids, ids, ids, ids};
  if (with_logprobs) {
    out = {ids, make(t.logits, {rows}, ScalarType::Float), make(t.logits, {rows}, ScalarType::Long),
           make(t.logits, {rows, width}, ScalarType::Long),
           make(t.logits, {rows, width}, ScalarType::Float)};
  }
  if (rows == 0) return out;
  check_edits(t, shape);
  t = packed_all(t);
  SamplingArgs args = args_of(t, numbers, shape);
  check_params(args.params, args.params_stride > 0 ? rows : 1);
  check_ranges(args, t.bias.numel(), t.bias_offsets.numel(),
               args.history == nullptr ? 0 : t.history.size(1));
  std::vector<uint64_t> random(static_cast<size_t>(rows));
  const auto* seeds = static_cast<const int64_t*>(t.seeds.const_data_ptr());
  const auto* positions = static_cast<const int64_t*>(t.positions.const_data_ptr());
  for (int64_t n = 0; n < rows; ++n) {
    random[static_cast<size_t>(n)] =
        sampling_bits(static_cast<uint64_t>(seeds[n]), static_cast<uint64_t>(positions[n]));
  }
  std::vector<SamplingFault> faults(static_cast<size_t>(rows), SamplingFault::kNone);
  args.random = random.data();
  args.faults = faults.data();
  args.ids = static_cast<int64_t*>(ids.mutable_data_ptr());
  if (with_logprobs) {
    args.logprobs = static_cast<float*>(std::get<1>(out).mutable_data_ptr());
    args.ranks = static_cast<int64_t*>(std::get<2>(out).mutable_data_ptr());
    args.top_ids = static_cast<int64_t*>(std::get<3>(out).mutable_data_ptr());
    args.top_logprobs = static_cast<float*>(std::get<4>(out).mutable_data_ptr());
    args.num_logprobs = width;
    args.processed_logprobs = processed;
  }
  cpu::sample(args, torch_threads());
  for (int64_t n = 0; n < rows; ++n) {
    if (args.faults[n] != SamplingFault::kNone) fail_id(args, n);
  }
  return out;
}

Tensor sample(const Tensor& logits, const Tensor& seeds, const Tensor& positions,
              const std::vector<double>& params, const std::vector<Tensor>& extras) {
  return std::get<0>(
      run(tensors_of(logits, seeds, positions, extras), numbers_of(params), -1, false));
}

Sampled sample_logprobs(const Tensor& logits, const Tensor& seeds, const Tensor& positions,
                        const std::vector<double>& params, const std::vector<Tensor>& extras,
                        int64_t num_logprobs, bool processed) {
  if (num_logprobs < 0) fail("num_logprobs", "at least 0", std::to_string(num_logprobs));
  return run(tensors_of(logits, seeds, positions, extras), numbers_of(params), num_logprobs,
             processed);
}

}  // namespace

STABLE_TORCH_LIBRARY_FRAGMENT(llmcore, m) {
  m.def(
      "sample(Tensor logits, Tensor seeds, Tensor positions, float[] params, Tensor[] extras) "
      "-> Tensor");
  m.def(
      "sample_logprobs(Tensor logits, Tensor seeds, Tensor positions, float[] params, "
      "Tensor[] extras, int num_logprobs, bool processed) "
      "-> (Tensor ids, Tensor logprobs, Tensor ranks, Tensor top_ids, Tensor top_logprobs)");
}

STABLE_TORCH_LIBRARY_IMPL(llmcore, CPU, m) {
  m.impl("sample", TORCH_BOX(&sample));
  m.impl("sample_logprobs", TORCH_BOX(&sample_logprobs));
}

}  // namespace llmcore::door

#endif  // LLMCORE_CUDA_LIBRARY
