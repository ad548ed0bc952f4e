// Chunks of a raw text: cut between the pairs of ASCII characters that a table names, and perhaps
// before ideographs. The second of a pair must not have anything behind it that could combine with
// it, so that is ASCII too.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace llmcore::tokenizer {

class ChunkScanner {
 public:
  void allow_cut(std::uint8_t before, std::uint8_t after) {
    rows_[before][after >> 6] |= std::uint64_t{1} << (after & 63);
  }
  // Cut before a U+0020 only where 0x20-0x7E follows it.
  void need_ascii_after_space() { look_ahead_ = LookAhead::kSpaces; }
  // Cut before U+5000-U+9FFF too, but not behind white space.
  void cut_before_ideographs() {
    look_ahead_ = LookAhead::kIdeographs;
    for (unsigned before = 0x21; before < 0xC0; ++before) {
      for (unsigned lead = kFirstLead; lead <= kLastLead; ++lead) {
        allow_cut(static_cast<std::uint8_t>(before), static_cast<std::uint8_t>(lead));
      }
    }
  }

  // Writes the ends of the next chunks from p on (p < end; p begins one), at least one and at most
  // `max` > kTail, and returns their number.
  std::size_t scan(const std::uint8_t* p, const std::uint8_t* end, const std::uint8_t** ends,
                   std::size_t max) const {
    switch (look_ahead_) {
      case LookAhead::kSpaces:
        return scan<LookAhead::kSpaces>(p, end, ends, max);
      case LookAhead::kIdeographs:
        return scan<LookAhead::kIdeographs>(p, end, ends, max);
      case LookAhead::kAscii:
        break;
    }
    return scan<LookAhead::kAscii>(p, end, ends, max);
  }

 private:
  enum class LookAhead : std::uint8_t { kAscii, kSpaces, kIdeographs };
  // A stride looks two bytes ahead, so that many more are left to the end.
  static constexpr std::ptrdiff_t kStride = 16, kTail = kStride + 2;
  static constexpr std::uint8_t kFirstLead = 0xE5, kLastLead = 0xE9;

  // Whether a chunk may end before *p, where `known` bytes from p on may be read.
  template <LookAhead kAhead>
  bool is_cut(const std::uint8_t* p, std::ptrdiff_t known) const {
    const bool cuts = (rows_[p[-1]][*p >> 6] >> (*p & 63) & 1) != 0;
    const bool is_alone = known < 2 || p[1] < 0x80;
    if constexpr (kAhead == LookAhead::kSpaces) {
      const bool is_text = known > 1 && p[1] >= 0x20 && p[1] < 0x7F;
      return cuts & (is_text | (is_alone & (*p != ' ')));
    }
    if constexpr (kAhead == LookAhead::kIdeographs) {
      const bool is_whole = known > 2 && (p[1] & 0xC0) == 0x80 && (p[2] & 0xC0) == 0x80;
      return cuts & (*p < kFirstLead ? is_alone : is_whole);
    }
    return cuts & is_alone;
  }
  // Writes every place and counts those that are ends: a branch would often go wrong.
  template <LookAhead kAhead>
  std::size_t scan(const std::uint8_t* p, const std::uint8_t* end, const std::uint8_t** ends,
                   std::size_t max) const {
    std::size_t count = 0;
    ++p;
    for (; end - p > kTail && count + kTail < max; p += kStride) {
      for (std::ptrdiff_t i = 0; i < kStride; ++i) {
        ends[count] = p + i;
        count += is_cut<kAhead>(p + i, 3) ? 1 : 0;
      }
    }
    if (count + kTail >= max) return count;
    for (; p < end; ++p) {
      ends[count] = p;
      count += is_cut<kAhead>(p, end - p) ? 1 : 0;
    }
    ends[count++] = end;
    return count;
  }

  std::array<std::array<std::uint64_t, 4>, 256> rows_{};  // by the byte before, of bits
  LookAhead look_ahead_ = LookAhead::kAscii;
};

}  // namespace llmcore::tokenizer
