#include "tokenizer/pipeline/space_scanner.h"

#include <bit>

#include "tokenizer/split/ascii_block.h"

namespace llmcore::tokenizer {
namespace {

bool is_printable(std::uint8_t b) {
  return b > 0x20 && b < 0x7F;
}

bool is_white(const ChunkRule& rule, std::uint8_t b) {
  return b == ' ' || (rule.any_white && (b == '\t' || b == '\n' || b == '\r'));
}

}  // namespace

std::size_t scan_chunks(const ChunkRule& rule, const std::uint8_t* p, const std::uint8_t* end,
                        const std::uint8_t** ends, std::size_t max) {
  std::size_t count = 0;
  // A block begins one byte before the first place that may be a cut and ends one behind the last.
  constexpr detail::Mask kInside = ~detail::Mask{0} << 1 >> 2 << 1;
  for (; detail::kHasBlocks && end - p >= detail::kBlockBytes; p += detail::kBlockBytes - 2) {
    const detail::Block block(p);
    const detail::Mask printable = block.range(0x21, 0x7F - 0x21);
    const detail::Mask spaces = block.equal(' ');
    const detail::Mask white =
        rule.any_white ? spaces | block.range('\t', 2) | block.equal('\r') : spaces;
    detail::Mask cuts = white & printable << 1 & kInside;
    if (rule.ascii_follows) cuts &= (printable | spaces) >> 1;
    for (; cuts != 0; cuts &= cuts - 1) {
      ends[count++] = p + std::countr_zero(cuts);
      if (count == max) return count;
    }
  }
  for (++p; p < end; ++p) {
    if (!is_white(rule, *p) || !is_printable(p[-1])) continue;
    if (rule.ascii_follows && (end - p < 2 || !(is_printable(p[1]) || p[1] == ' '))) continue;
    ends[count++] = p;
    if (count == max) return count;
  }
  ends[count++] = end;
  return count;
}

}  // namespace llmcore::tokenizer
