// Chunks of a raw text: cut where white space begins behind a printable ASCII character.
#pragma once

#include <cstddef>
#include <cstdint>

namespace llmcore::tokenizer {

struct ChunkRule {
  bool any_white = false;      // U+0020, or also tab, line feed and carriage return
  bool ascii_follows = false;  // only where the next byte is in 0x20-0x7E
};

// Writes the ends of the next chunks from p on (p < end; p begins one), at least one and at most
// `max`, and returns their number.
std::size_t scan_chunks(const ChunkRule& rule, const std::uint8_t* p, const std::uint8_t* end,
                        const std::uint8_t** ends, std::size_t max);

}  // namespace llmcore::tokenizer
