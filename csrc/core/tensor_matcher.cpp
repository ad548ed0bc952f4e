#include "core/tensor_matcher.h"

#include <cstring>
#include <stdexcept>

namespace llmcore {

namespace {

bool is_any(const char* axis) {
  return std::strcmp(axis, "...") == 0;
}

std::string tuple_of(const std::vector<std::string>& parts) {
  std::string text = "(";
  for (size_t i = 0; i < parts.size(); ++i) text += (i ? ", " : "") + parts[i];
  return text + (parts.size() == 1 ? ",)" : ")");
}

}  // namespace

TensorMatcher& TensorMatcher::operator()(const char* argument, const TensorView& tensor,
                                         std::initializer_list<const char*> axes) {
  const bool any = axes.size() > 0 && is_any(*axes.begin());
  const auto named = static_cast<int64_t>(axes.size()) - (any ? 1 : 0);
  if (any ? tensor.rank < named : tensor.rank != named) fail_shape(argument, tensor, axes);
  const int64_t num_any = tensor.rank - named;
  int64_t product = 1;
  for (int64_t i = 0; i < num_any; ++i) product *= tensor.sizes[i];
  int64_t i = num_any;
  for (const char* axis : axes) {
    const int64_t size = is_any(axis) ? product : tensor.sizes[i++];
    int64_t* bound = find(axis);
    if (bound == nullptr) {
      bound_.emplace_back(axis, size);
    } else if (*bound != size) {
      fail_shape(argument, tensor, axes);
    }
  }
  return *this;
}

TensorMatcher& TensorMatcher::same_dtype(const char* argument, DType got, DType expected) {
  if (got != expected) {
    throw std::runtime_error(std::string(op_) + ": " + argument + " must be " +
                             dtype_name(expected) + ", got " + dtype_name(got));
  }
  return *this;
}

int64_t TensorMatcher::axis(const std::string& name) const {
  for (const auto& [key, size] : bound_) {
    if (key == name) return size;
  }
  throw std::logic_error(std::string(op_) + ": axis " + name + " was never bound");
}

int64_t* TensorMatcher::find(const std::string& name) {
  for (auto& [key, size] : bound_) {
    if (key == name) return &size;
  }
  return nullptr;
}

void TensorMatcher::fail_shape(const char* argument, const TensorView& tensor,
                               std::initializer_list<const char*> axes) const {
  std::vector<std::string> names, sizes, got;
  for (const char* axis : axes) {
    names.emplace_back(axis);
    sizes.emplace_back(axis);
    for (const auto& [key, size] : bound_) {
      if (key == axis && !is_any(axis)) sizes.back() = std::to_string(size);
    }
  }
  for (int64_t i = 0; i < tensor.rank; ++i) got.push_back(std::to_string(tensor.sizes[i]));
  throw std::runtime_error(std::string(op_) + ": " + argument + " must be " + tuple_of(names) +
                           " = " + tuple_of(sizes) + ", got " + tuple_of(got));
}

}  // namespace llmcore
