// Schemas, checks and the CPU implementations of rope and rope_.
#include "ops/rope.h"

#include "torch/abi.h"

#ifndef LLMCORE_CUDA_LIBRARY

namespace llmcore::door {

namespace {

using torch::headeronly::ScalarType;

[[noreturn]] void fail(const char* op, const char* argument, const std::string& expected,
                       const std::string& got) {
  throw std::runtime_error(std::string(op) + ": " + argument + " must be " + expected + ", got " +
                           got);
}

std::string sizes_of(const Tensor& tensor) {
  std::string text = "(";
  for (int64_t axis = 0; axis < tensor.dim(); ++axis) {
    text += (axis > 0 ? ", " : "") + std::to_string(tensor.size(axis));
  }
  return text + (tensor.dim() == 1 ? ",)" : ")");
}

// x is (B, T, H, D), or (N, H, D) as one sequence. `axis` counts from the back: 1 is D.
int64_t size_from_back(const Tensor& x, int64_t axis) {
  return axis <= x.dim() ? x.size(x.dim() - axis) : 1;
}
int64_t stride_from_back(const Tensor& x, int64_t axis) {
  return axis <= x.dim() ? x.stride(x.dim() - axis) : 0;
}

bool has_positions(const Tensor& positions) {
  return positions.dim() != 1 || positions.size(0) != 0;
}

struct Checked {
  int64_t batch, length, heads, head_dim, pairs;
  DType dtype;
};

// The tables: one row per token, shared by the batch or not; or any number of rows that `positions`
// choose from.
void check_table(const char* op, const char* argument, const Tensor& table, const Checked& shape,
                 bool any_rows) {
  if (table.scalar_type() != ScalarType::Float) fail(op, argument, "float32", "another dtype");
  const int64_t rank = table.dim();
  const bool has_batch = rank == 3 && !any_rows && table.size(0) == shape.batch;
  const bool fits = (rank == 2 || has_batch) && table.size(rank - 1) == shape.pairs &&
                    (any_rows || table.size(rank - 2) == shape.length);
  if (fits) return;
  const std::string pairs = std::to_string(shape.pairs);
  const std::string rows = any_rows ? "any" : std::to_string(shape.length);
  fail(op, argument, "(" + rows + ", " + pairs + ")" + (any_rows ? "" : " or with a batch axis"),
       sizes_of(table));
}

void check_positions(const char* op, const Tensor& positions, const Checked& shape,
                     int64_t num_rows) {
  if (positions.scalar_type() != ScalarType::Long) fail(op, "positions", "int64", "another dtype");
  const int64_t rank = positions.dim();
  const bool fits = (rank == 1 || (rank == 2 && positions.size(0) == shape.batch)) &&
                    positions.size(rank - 1) == shape.length;
  if (!fits) {
    fail(op, "positions",
         "(B, T) = (" + std::to_string(shape.batch) + ", " + std::to_string(shape.length) +
             ") or (T,)",
         sizes_of(positions));
  }
  const auto* data = static_cast<const int64_t*>(positions.const_data_ptr());
  const int64_t batch = rank == 2 ? positions.size(0) : 1;
  for (int64_t b = 0; b < batch; ++b) {
    for (int64_t t = 0; t < shape.length; ++t) {
      const int64_t row =
          data[(rank == 2 ? b * positions.stride(0) : 0) + t * positions.stride(rank - 1)];
      if (row >= 0 && row < num_rows) continue;
      fail(op, "positions", "in [0, " + std::to_string(num_rows) + ")", std::to_string(row));
    }
  }
}

Checked check(const char* op, const Tensor& x, const Tensor& cos, const Tensor& sin,
              const Tensor& positions) {
  const DType dtype = dtype_of(op, "x", x);
  if ((x.dim() != 3 && x.dim() != 4) || x.size(x.dim() - 1) % 2 != 0) {
    fail(op, "x", "(B, T, H, D) or (N, H, D) with even D", sizes_of(x));
  }
  if (cos.dim() < 1) fail(op, "cos", "(T, Dh)", sizes_of(cos));
  const int64_t head_dim = size_from_back(x, 1), pairs = cos.size(cos.dim() - 1);
  if (pairs > head_dim / 2) {
    fail(op, "cos", "at most " + std::to_string(head_dim / 2) + " wide, half of D", sizes_of(cos));
  }
  const Checked shape{
      size_from_back(x, 4), size_from_back(x, 3), size_from_back(x, 2), head_dim, pairs, dtype};
  const bool indexed = has_positions(positions);
  check_table(op, "cos", cos, shape, indexed);
  check_table(op, "sin", sin, shape, indexed);
  if (indexed) check_positions(op, positions, shape, std::min(cos.size(0), sin.size(0)));
  return shape;
}

Tensor with_contiguous_rows(const Tensor& tensor) {
  const bool contiguous = tensor.size(-1) <= 1 || tensor.stride(-1) == 1;
  return contiguous ? tensor : packed(tensor);
}

RopeTable table_of(const Tensor& table) {
  const int64_t rank = table.dim();
  return {static_cast<const float*>(table.const_data_ptr()), rank == 3 ? table.stride(0) : 0,
          table.stride(rank - 2)};
}

void run(const Checked& shape, const Tensor& x, Tensor& y, const Tensor& cos_any,
         const Tensor& sin_any, const Tensor& positions, bool interleaved, bool inverse) {
  if (x.numel() == 0) return;
  const Tensor cos = with_contiguous_rows(cos_any), sin = with_contiguous_rows(sin_any);
  const bool indexed = has_positions(positions);
  const int64_t rank = positions.dim();
  cpu::rope(
      {.x = x.const_data_ptr(),
       .y = y.mutable_data_ptr(),
       .batch = shape.batch,
       .length = shape.length,
       .heads = shape.heads,
       .head_dim = shape.head_dim,
       .x_batch = stride_from_back(x, 4),
       .x_token = stride_from_back(x, 3),
       .x_head = stride_from_back(x, 2),
       .y_batch = stride_from_back(y, 4),
       .y_token = stride_from_back(y, 3),
       .y_head = stride_from_back(y, 2),
       .cos = table_of(cos),
       .sin = table_of(sin),
       .pairs = shape.pairs,
       .positions = indexed ? static_cast<const int64_t*>(positions.const_data_ptr()) : nullptr,
       .position_batch = rank == 2 ? positions.stride(0) : 0,
       .position_token = indexed ? positions.stride(rank - 1) : 0,
       .interleaved = interleaved,
       .inverse = inverse,
       .dtype = shape.dtype},
      torch_threads());
}

Tensor rope(const Tensor& x_any, const Tensor& cos, const Tensor& sin, const Tensor& positions,
            bool interleaved, bool inverse) {
  const Checked shape = check("rope", x_any, cos, sin, positions);
  const Tensor x = with_contiguous_rows(x_any);
  Tensor y = new_result(x);
  run(shape, x, y, cos, sin, positions, interleaved, inverse);
  return y;
}

// Whether two elements of x may share memory, as in an expanded tensor. Sufficient, not necessary:
// axes sorted by stride must each step over all that the smaller ones span.
bool may_overlap(const Tensor& x) {
  int64_t span = 1;
  bool taken[4] = {};
  for (int64_t round = 0; round < x.dim(); ++round) {
    int64_t next = -1;
    for (int64_t axis = 0; axis < x.dim(); ++axis) {
      if (!taken[axis] && (next < 0 || x.stride(axis) < x.stride(next))) next = axis;
    }
    taken[next] = true;
    if (x.size(next) <= 1) continue;
    if (x.stride(next) < span) return true;
    span = x.stride(next) * (x.size(next) - 1) + span;
  }
  return false;
}

void rope_(const Tensor& x, const Tensor& cos, const Tensor& sin, const Tensor& positions,
           bool interleaved, bool inverse) {
  const Checked shape = check("rope_", x, cos, sin, positions);
  if (x.numel() == 0) return;
  if (x.size(-1) > 1 && x.stride(-1) != 1) fail("rope_", "x", "contiguous in D", "other strides");
  if (may_overlap(x)) fail("rope_", "x", "one memory cell per element", "overlapping strides");
  Tensor y = x;
  run(shape, x, y, cos, sin, positions, interleaved, inverse);
}

}  // namespace

STABLE_TORCH_LIBRARY_FRAGMENT(llmcore, m) {
  // Empty `positions`: row t of the tables. `inverse` is the transposed rotation, the gradient.
  m.def(
      "rope(Tensor x, Tensor cos, Tensor sin, Tensor positions, bool interleaved, bool inverse) "
      "-> Tensor");
  // The same without a gradient: skips the Python autograd layer.
  m.def(
      "rope_no_grad(Tensor x, Tensor cos, Tensor sin, Tensor positions, bool interleaved, "
      "bool inverse) -> Tensor");
  m.def(
      "rope_(Tensor(a!) x, Tensor cos, Tensor sin, Tensor positions, bool interleaved, "
      "bool inverse) -> ()");
}

STABLE_TORCH_LIBRARY_IMPL(llmcore, CPU, m) {
  m.impl("rope", TORCH_BOX(&rope));
  m.impl("rope_no_grad", TORCH_BOX(&rope));
  m.impl("rope_", TORCH_BOX(&rope_));
}

}  // namespace llmcore::door

#endif
