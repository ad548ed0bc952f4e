#include "tokenizer/pipeline/bpe_scanner.h"

#include <bit>
#include <cstring>

#include "tokenizer/split/gpt2_scanner.h"

namespace llmcore::tokenizer {
namespace {

#if defined(__SSE2__)

constexpr std::size_t kBlock = 64;
constexpr std::size_t kScalarPieces = 16;  // where a character beyond ASCII is near

// One bit per byte of a block.
struct BlockClasses {
  std::uint64_t letter = 0, number = 0, space = 0, blank = 0, quote = 0, not_ascii = 0;
};

BlockClasses classify(const std::uint8_t* p) {
  const auto set = [](int c) { return _mm_set1_epi8(static_cast<char>(c)); };
  // Bytes in [first, first + count) become the smallest signed ones.
  const auto in_range = [&](__m128i bytes, int first, int count) {
    return _mm_cmplt_epi8(_mm_add_epi8(bytes, set(0x80 - first)), set(0x80 + count));
  };
  BlockClasses block;
  for (unsigned i = 0; i < kBlock; i += 16) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p + i));
    const auto bits = [&](__m128i mask) {
      return static_cast<std::uint64_t>(static_cast<unsigned>(_mm_movemask_epi8(mask))) << i;
    };
    const __m128i blank = _mm_cmpeq_epi8(bytes, set(' '));
    block.letter |= bits(in_range(_mm_or_si128(bytes, set(0x20)), 'a', 26));
    block.number |= bits(in_range(bytes, '0', 10));
    block.blank |= bits(blank);
    block.space |= bits(_mm_or_si128(blank, in_range(bytes, '\t', 5)));
    block.quote |= bits(_mm_cmpeq_epi8(bytes, set('\'')));
    block.not_ascii |= bits(bytes);
  }
  return block;
}

// Bits where a piece begins, if one begins at bit 0. A bit is sure where the two bytes after it are
// in the block too.
std::uint64_t piece_starts(const std::uint8_t* p, const BlockClasses& b) {
  const std::uint64_t other = ~(b.letter | b.number | b.space);
  const std::uint64_t after_letter = b.letter << 1, after_number = b.number << 1;
  const std::uint64_t after_space = b.space << 1, after_other = other << 1;
  // A class that differs from the one before begins a piece, unless that one is a lone blank;
  // of a run of spaces the last is on its own.
  const std::uint64_t same = (b.letter & after_letter) | (b.number & after_number) |
                             (other & after_other) | (b.space & after_space);
  std::uint64_t starts = ~same & ~(~b.space & (b.blank << 1));
  starts |= b.space & after_space & ~(b.space >> 1);
  starts |= 1;
  for (std::uint64_t quotes = b.quote & starts & (b.letter >> 1); quotes != 0;
       quotes &= quotes - 1) {
    const int at = std::countr_zero(quotes);
    if (at > static_cast<int>(kBlock) - 4) break;
    const auto size = skip_contraction(p + at, p + at + 4) - (p + at);
    if (size > 0) starts = (starts & ~(2ull << at)) | 1ull << (at + size);
  }
  return starts;
}

// Whether a character of three bytes is at p, four readable bytes; not of those whose lead byte
// allows ill-formed ones (U+0800 and surrogates).
bool is_wide(const std::uint8_t* p) {
  std::uint32_t word = 0;
  std::memcpy(&word, p, 4);
  if constexpr (std::endian::native == std::endian::big) word = __builtin_bswap32(word);
  return (word & 0xC0C0F0) == 0x8080E0 && p[0] != 0xE0 && p[0] != 0xED;
}

CharClass wide_class(const std::uint8_t* p) {
  return class_of_code_point((p[0] & 0x0Fu) << 12 | (p[1] & 0x3Fu) << 6 | (p[2] & 0x3Fu));
}

// next_piece with a short way through Chinese, Japanese and Korean.
const std::uint8_t* next_wide_piece(const std::uint8_t* p, const std::uint8_t* end) {
  if (end - p < 4 || !is_wide(p)) return next_piece(p, end);
  const CharClass cls = wide_class(p);
  if (cls == kSpace) return next_piece(p, end);
  do {
    p += 3;
    if (end - p < 4 || !is_wide(p)) return skip_class(p, end, cls);
  } while (wide_class(p) == cls);
  return p;
}

class Gpt2PieceScanner : public FunctionScanner<next_piece, next_safe_cut> {
 public:
  std::size_t scan(const std::uint8_t* p, const std::uint8_t* end, const std::uint8_t** ends,
                   std::size_t max) const override {
    std::size_t count = 0;
    while (count + kBlock <= max && static_cast<std::size_t>(end - p) >= kBlock) {
      const BlockClasses block = classify(p);
      // Unsure: the three bytes before the first that is not ASCII, or before the block's end.
      const auto known = static_cast<unsigned>(std::countr_zero(block.not_ascii | 1ull << 63));
      std::uint64_t starts = piece_starts(p, block) & ~1ull;
      starts = known < 4 ? 0 : starts & ((1ull << (known - 3)) - 1);
      if (starts == 0) {
        const std::size_t most = count + (block.not_ascii != 0 ? kScalarPieces : 1);
        while (count < most && p < end) ends[count++] = p = next_wide_piece(p, end);
        continue;
      }
      for (; starts != 0; starts &= starts - 1) ends[count++] = p + std::countr_zero(starts);
      p = ends[count - 1];
    }
    if (count > 0) return count;
    return FunctionScanner::scan(p, end, ends, max);
  }
};

#else

using Gpt2PieceScanner = FunctionScanner<next_piece, next_safe_cut>;

#endif

}  // namespace

const PieceScanner& gpt2_piece_scanner() {
  static const Gpt2PieceScanner scanner;
  return scanner;
}

}  // namespace llmcore::tokenizer
