// A text as bytes, which need not be well-formed UTF-8.
#pragma once

#include <cstdint>
#include <span>

namespace llmcore::tokenizer {

using Text = std::span<const std::uint8_t>;

}  // namespace llmcore::tokenizer
