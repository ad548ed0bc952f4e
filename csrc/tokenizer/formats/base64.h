// Base64 (RFC 4648, with padding): strict.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace llmcore::tokenizer {

// Appends the bytes of `text`; false, and `out` as it was, if it is not canonical base64.
bool append_base64_bytes(std::string_view text, std::string& out);
std::string to_base64(std::string_view bytes);

}  // namespace llmcore::tokenizer
