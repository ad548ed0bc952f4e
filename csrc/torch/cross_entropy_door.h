// The checks that the doors of cross_entropy and linear_cross_entropy share.
#pragma once

#include <cmath>

#include "torch/abi.h"

namespace llmcore::door {

struct CrossEntropyOptions {
  int64_t ignore_index;
  double label_smoothing;
  double z_loss;
  double softcap;
};

inline void check_option(const char* op, const char* argument, double value, double below) {
  if (value >= 0.0 && value < below && std::isfinite(value)) return;
  throw std::runtime_error(std::string(op) + ": " + argument + " must be in range, got " +
                           std::to_string(value));
}

inline void check_options(const char* op, const CrossEntropyOptions& options) {
  check_option(op, "label_smoothing", options.label_smoothing, 1.0);
  check_option(op, "z_loss", options.z_loss, HUGE_VAL);
  check_option(op, "softcap", options.softcap, HUGE_VAL);
}

// (N,) of a dtype that is none of the storage types of `DType`, or float32.
inline void check_per_token(TensorMatcher& match, const char* op, const char* argument,
                            const Tensor& tensor, torch::headeronly::ScalarType dtype,
                            const char* dtype_name) {
  match(argument, view_of(tensor, DType::kFloat32), {"N"});
  if (tensor.scalar_type() == dtype) return;
  throw std::runtime_error(std::string(op) + ": " + argument + " must be " + dtype_name +
                           ", got another dtype");
}

// `labels` is contiguous.
inline void check_labels(const char* op, const Tensor& labels, int64_t vocab_size,
                         int64_t ignore_index) {
  const auto* ids = static_cast<const int64_t*>(labels.const_data_ptr());
  for (int64_t n = 0; n < labels.size(0); ++n) {
    if (ids[n] == ignore_index || (ids[n] >= 0 && ids[n] < vocab_size)) continue;
    throw std::runtime_error(std::string(op) + ": labels must be in [0, V) = [0, " +
                             std::to_string(vocab_size) + ") or ignore_index, got " +
                             std::to_string(ids[n]) + ", which is out of bounds");
  }
}

}  // namespace llmcore::door
