// Named-axis checks for the native doors: each axis letter binds on first sight and must agree
// later.
//
//   TensorMatcher match("rms_norm");
//   match("x", x, {"...", "C"})("weight", weight, {"C"});
//   int64_t cols = match.axis("C");
//
// Messages name the op, the argument, the expected axes with their sizes, and what came.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <utility>
#include <vector>

#include "core/dtype.h"

namespace llmcore {

// What a check needs to know of a tensor; the memory belongs to the caller.
struct TensorView {
  const void* data;
  const int64_t* sizes;
  const int64_t* strides;
  int64_t rank;
  DType dtype;
};

class TensorMatcher {
 public:
  explicit TensorMatcher(const char* op) : op_(op) {}

  // Checks rank and axis sizes; a leading "..." stands for any number of axes, whose product binds
  // to "...". Throws std::runtime_error.
  TensorMatcher& operator()(const char* argument, const TensorView& tensor,
                            std::initializer_list<const char*> axes);

  // All tensors named so far must have had this dtype.
  TensorMatcher& same_dtype(const char* argument, DType got, DType expected);

  int64_t axis(const std::string& name) const;

 private:
  int64_t* find(const std::string& name);
  [[noreturn]] void fail_shape(const char* argument, const TensorView& tensor,
                               std::initializer_list<const char*> axes) const;

  const char* op_;
  std::vector<std::pair<std::string, int64_t>> bound_;
};

}  // namespace llmcore
