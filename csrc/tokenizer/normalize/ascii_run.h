// Runs of ASCII, which most rewrites copy or map byte by byte.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>

#include "tokenizer/normalize/chunk_writer.h"
#include "tokenizer/text/aligned_text.h"

namespace llmcore::tokenizer {

// First byte of [at, text.size()) that is not ASCII.
inline std::size_t ascii_end(Text text, std::size_t at) {
  constexpr std::uint64_t kHigh = 0x8080808080808080;
  for (; at + 32 <= text.size(); at += 32) {
    std::uint64_t words[4];
    std::memcpy(words, text.data() + at, 32);
    if ((words[0] | words[1] | words[2] | words[3]) & kHigh) break;
  }
  while (at < text.size() && text[at] < 0x80) ++at;
  return at;
}

// What each ASCII character turns into: another, or nothing.
using AsciiMap = std::array<std::uint8_t, 128>;
inline constexpr std::uint8_t kNothing = 0x80;

// Writes ASCII bytes [begin, end) of `from` through `map`.
inline void write_mapped(const AlignedText& from, ChunkWriter& out, std::size_t begin,
                         std::size_t end, const AsciiMap& map) {
  const std::uint8_t* text = from.text().data();
  if (from.tracks()) {
    for (std::size_t i = begin; i < end; ++i) {
      const auto c = static_cast<char>(map[text[i]]);
      if (map[text[i]] != kNothing) out.write({&c, 1}, from.origin(i));
    }
    return;
  }
  char chunk[512];
  while (begin < end) {
    const std::size_t stop = std::min(end, begin + sizeof chunk);
    std::size_t used = 0;
    for (; begin < stop; ++begin) {
      const std::uint8_t c = map[text[begin]];
      chunk[used] = static_cast<char>(c);
      used += c != kNothing;
    }
    out.write({chunk, used}, {});
  }
}

}  // namespace llmcore::tokenizer
