#include "tokenizer/pipeline/pattern_scanner.h"

#include <bit>

#include "tokenizer/split/scan_pieces.h"

namespace llmcore::tokenizer {
namespace {

template <KnownPattern kPattern>
class PatternScanner final : public PieceScanner {
 public:
  std::size_t scan(const std::uint8_t* p, const std::uint8_t* end, const std::uint8_t** ends,
                   std::size_t max) const override {
    std::size_t count = 0;
    while (p < end && count < max) {
      if (detail::kHasBlocks && static_cast<std::size_t>(end - p) >= detail::kBlockBytes) {
        detail::Mask starts = detail::block_starts<kPattern>(p);
        if (starts != 1) {
          const std::uint8_t* block = p;
          for (starts &= starts - 1; starts != 0 && count < max; starts &= starts - 1) {
            ends[count++] = p = block + std::countr_zero(starts);
          }
          continue;
        }
      }
      ends[count++] = p = next_piece<kPattern>(p, end);
    }
    return count;
  }
  const std::uint8_t* safe_cut(const std::uint8_t* begin, const std::uint8_t* from,
                               const std::uint8_t* end) const override {
    return next_safe_cut(kPattern, begin, from, end);
  }
};

}  // namespace

std::unique_ptr<const PieceScanner> make_piece_scanner(KnownPattern pattern) {
  using enum KnownPattern;
  switch (pattern) {
    case kGpt2:
      return std::make_unique<PatternScanner<kGpt2>>();
    case kCl100k:
      return std::make_unique<PatternScanner<kCl100k>>();
    case kLlama3:
      return std::make_unique<PatternScanner<kLlama3>>();
    case kQwen2:
      return std::make_unique<PatternScanner<kQwen2>>();
    case kO200k:
      return std::make_unique<PatternScanner<kO200k>>();
    case kDeepSeekV3:
      return std::make_unique<PatternScanner<kDeepSeekV3>>();
  }
  return nullptr;
}

}  // namespace llmcore::tokenizer
