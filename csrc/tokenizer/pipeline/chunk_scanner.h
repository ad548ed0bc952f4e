// Chunks of a raw text: cut between the pairs of ASCII characters that a table names.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace llmcore::tokenizer {

class ChunkScanner {
 public:
  // `before` and `after` are ASCII.
  void allow_cut(std::uint8_t before, std::uint8_t after) {
    rows_[before][after >> 6] |= std::uint64_t{1} << (after & 63);
  }
  // Cut before a U+0020 only where 0x20-0x7E follows it.
  void need_ascii_after_space() { looks_ahead_ = true; }

  // Writes the ends of the next chunks from p on (p < end; p begins one), at least one and at most
  // `max` > kStride, and returns their number.
  std::size_t scan(const std::uint8_t* p, const std::uint8_t* end, const std::uint8_t** ends,
                   std::size_t max) const {
    return looks_ahead_ ? scan<true>(p, end, ends, max) : scan<false>(p, end, ends, max);
  }

 private:
  static constexpr std::ptrdiff_t kStride = 16;

  // Whether a chunk may end before *p.
  template <bool kLooksAhead>
  bool is_cut(const std::uint8_t* p, const std::uint8_t* end) const {
    bool cuts = (rows_[p[-1]][*p >> 6] >> (*p & 63) & 1) != 0;
    if constexpr (kLooksAhead) {
      const bool is_ascii = end - p > 1 && p[1] >= 0x20 && p[1] < 0x7F;
      cuts = cuts & (is_ascii | (*p != ' '));
    }
    return cuts;
  }
  // Writes every place and counts those that are ends: a branch would often go wrong.
  template <bool kLooksAhead>
  std::size_t scan(const std::uint8_t* p, const std::uint8_t* end, const std::uint8_t** ends,
                   std::size_t max) const {
    std::size_t count = 0;
    ++p;
    for (; end - p > kStride && count + kStride < max; p += kStride) {
      for (std::ptrdiff_t i = 0; i < kStride; ++i) {
        ends[count] = p + i;
        count += is_cut<kLooksAhead>(p + i, end) ? 1 : 0;
      }
    }
    if (count + kStride >= max) return count;
    for (; p < end; ++p) {
      ends[count] = p;
      count += is_cut<kLooksAhead>(p, end) ? 1 : 0;
    }
    ends[count++] = end;
    return count;
  }

  std::array<std::array<std::uint64_t, 4>, 256> rows_{};  // by the byte before, of bits
  bool looks_ahead_ = false;
};

}  // namespace llmcore::tokenizer
