// The two kinds of user error that this room raises; the bindings turn them into
// llmcore.errors.DataError and llmcore.errors.ConfigError.
#pragma once

#include <stdexcept>

namespace llmcore::tokenizer {

struct DataError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

struct ConfigError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

}  // namespace llmcore::tokenizer
