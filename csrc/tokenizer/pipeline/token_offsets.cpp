#include "tokenizer/pipeline/token_offsets.h"

namespace llmcore::tokenizer {

std::vector<std::int64_t> token_char_spans(const BpeModel& model,
                                           std::span<const std::uint8_t> text,
                                           std::span<const std::uint32_t> ids) {
  std::vector<std::int64_t> spans;
  spans.reserve(ids.size() * 2);
  const auto is_lead = [&](std::size_t i) { return (text[i] & 0xC0) != 0x80; };
  std::size_t at = 0;
  std::int64_t num_chars = 0;  // characters that begin before `at`
  for (const std::uint32_t id : ids) {
    const std::size_t end = at + model.token_bytes(id).size();
    spans.push_back(at < end && is_lead(at) ? num_chars : num_chars - 1);
    for (; at < end; ++at) num_chars += is_lead(at);
    spans.push_back(num_chars);
  }
  return spans;
}

}  // namespace llmcore::tokenizer
