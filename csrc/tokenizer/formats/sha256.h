// SHA-256, by which known vocabulary files are recognised. Source: FIPS 180-4.
#pragma once

#include <cstdint>
#include <span>
#include <string>

namespace llmcore::tokenizer {

// In lower-case hexadecimal digits.
std::string sha256_hex(std::span<const std::uint8_t> bytes);

}  // namespace llmcore::tokenizer
